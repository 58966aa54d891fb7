"""One signal: k of n bad samples in, a stricter run of good ones and a least time out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.health.signals import Signal
from include.health.verdicts import State

_WORDS = {State.HEALTHY: "h", State.SUSPECT: "s", State.UNHEALTHY: "U", State.RECOVERING: "r", State.UNKNOWN: "?"}


def states(signal: Signal, samples: str) -> str:
    """B: bad, g: good, '.': nothing was seen, one a second; the state after each."""
    said = ""
    for at, sample in enumerate(samples, start=1):
        if sample != ".":
            signal.sample(float(at), sample == "B")
        said += _WORDS[signal.state]
    return said


@pytest.mark.parametrize(
    ("signal", "samples", "expected"),
    [
        pytest.param(Signal(3, 2), "ggBBBgg", "hhssUrh", id="three bad in a row enter, two good ones leave"),
        pytest.param(Signal(3, 2), "gBBgBBgBB", "hssssssss", id="never three in a row, never calm either"),
        pytest.param(Signal(3, 2), "gBggg", "hsssh", id="a single bad one is forgotten after as many as are looked at"),
        pytest.param(Signal(3, 5, of=5), "gBgBgBg", "hssssUr", id="three of the last five"),
        pytest.param(Signal(1, 3), "BgBggg", "UrUrrh", id="the run of good ones must be unbroken"),
        pytest.param(Signal(1, 1, dwell=4), "Bggggg", "Urrrhh", id="not before it has lasted"),
        pytest.param(Signal(3, 2), "gBB...B..", "hsssssUUU", id="what is not seen neither counts nor clears"),
        pytest.param(Signal(3, 2), "BBB.g.g", "ssUUrrh", id="nor does it count as good"),
        pytest.param(Signal(2, 1), "..g", "??h", id="unknown at first"),
    ],
)
def test_a_signal(signal: Signal, samples: str, expected: str) -> None:
    assert states(signal, samples) == expected


def test_since_and_onset() -> None:
    signal = Signal(2, 2)
    states(signal, "gBBBgg")
    assert (signal.since, signal.onset) == (6.0, 0.0)
    signal = Signal(2, 2)
    states(signal, "gBBBg")
    assert (signal.since, signal.onset) == (5.0, 2.0)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        pytest.param("gBB", "B", "s", id="bad samples on both sides of a gap are no run"),
        pytest.param("BBB", "", "U", id="what is confirmed stays"),
        pytest.param("BBBgg", "gg", "rr", id="good samples on both sides of a gap are no run"),
    ],
)
def test_a_gap(before: str, after: str, expected: str) -> None:
    signal = Signal(3, 3)
    states(signal, before)
    signal.interrupted()
    assert (states(signal, after) or _WORDS[signal.state]) == expected


@given(st.text(alphabet="Bg.", max_size=80), st.integers(2, 4), st.integers(1, 4))
def test_whatever_is_seen(samples: str, enter: int, leave: int) -> None:
    signal = Signal(enter, leave)
    said = states(signal, samples)
    for place, state in enumerate(said):
        before = said[place - 1] if place else "?"
        if samples[place] == ".":
            assert state == before
        if state == "U" and before in "hs?":
            assert samples[: place + 1].replace(".", "").endswith("B" * enter)
        if state == "h" and before in "Ur":
            assert samples[: place + 1].replace(".", "").endswith("g" * leave)


@pytest.mark.parametrize(("enter", "of"), [(0, None), (3, 2)])
def test_numbers_without_sense_are_refused(enter: int, of: int | None) -> None:
    with pytest.raises(ValueError, match="make no sense"):
        Signal(enter, 1, of=of)
