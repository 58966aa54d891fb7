"""From findings to verdicts: what lasts, what flaps, and which facts are kept."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from include.health.config import DetectorConfig
from include.health.observations import Probe
from include.health.rules.base import Finding, Judge
from include.health.rules.evidence import EvidenceLog
from include.health.verdicts import State, Verdict
from include.playbook.names import Cause, Component, ScenarioId
from include.playbook.thresholds import Thresholds

_STATES = {
    "h": State.HEALTHY,
    "s": State.SUSPECT,
    "U": State.UNHEALTHY,
    "r": State.RECOVERING,
    "?": State.UNKNOWN,
    "F": State.FLAPPING,
}
_LETTERS = {state: letter for letter, state in _STATES.items()}


def judge() -> Judge:
    """Flapping: three times within 20 seconds, until it has been calm for ten."""
    thresholds = Thresholds(flaps=3, flap_window_seconds=20, flap_calm_seconds=10, dwell_seconds=1, blind_seconds=15)
    return Judge(ScenarioId.KAFKA_DOWN, Component.KAFKA, thresholds, DetectorConfig())


def finding(letter: str, at: float, cause: Cause = Cause.PROCESS_HUNG, reason: str = "It hangs.") -> Finding:
    state = _STATES[letter]
    if state in (State.HEALTHY, State.UNKNOWN):
        return Finding(state=state, reason="So it is.")
    return Finding(state=state, reason=reason, cause=cause, onset=at)


def concluded(own: Judge, letters: str, begin: int = 1) -> list[Verdict]:
    return [own.conclude(float(at), finding(letter, float(at)), {}) for at, letter in enumerate(letters, start=begin)]


def letters(verdicts: Iterable[Verdict]) -> str:
    return "".join(_LETTERS[verdict.state] for verdict in verdicts)


@pytest.mark.parametrize(
    ("findings", "expected"),
    [
        pytest.param("hsUUrh", "hsUUrh", id="once"),
        pytest.param("hUhUhh", "hUhUhh", id="twice is not flapping"),
        pytest.param("hUhUhUhh", "hUhUhFFF", id="three times is"),
        pytest.param("hUhUhU" + "h" * 11, "hUhUhF" + "F" * 9 + "hh", id="until it was calm for long enough"),
        pytest.param("hUhUhUhhhhhU" + "h" * 11, "hUhUhFFFFFFF" + "F" * 9 + "hh", id="the calm must be unbroken"),
        pytest.param("hU" + "h" * 10 + "U" + "h" * 10 + "Uh", "hU" + "h" * 10 + "U" + "h" * 10 + "Uh", id="slowly"),
        pytest.param("hUrUrUrUh", "hUrUrUrUh", id="what never was over has not come back"),
        pytest.param("hU???h", "hUUUUh", id="unknown ends no trouble"),
        pytest.param("h?h", "h?h", id="unknown without a trouble is unknown"),
    ],
)
def test_states(findings: str, expected: str) -> None:
    assert letters(concluded(judge(), findings)) == expected


def test_a_gap_is_no_calm() -> None:
    own = judge()
    assert letters(concluded(own, "hUhUhU")) == "hUhUhF"
    own.resumed(100.0)
    assert letters(concluded(own, "h" * 11, begin=100)) == "F" * 10 + "h"


def test_a_trouble_keeps_its_first_onset() -> None:
    own = judge()
    verdicts = concluded(own, "hsUUUrr")
    assert [verdict.onset for verdict in verdicts] == [0.0, 2.0, 3.0, 3.0, 3.0, 3.0, 3.0]
    assert [verdict.since for verdict in verdicts] == [1.0, 2.0, 3.0, 3.0, 3.0, 6.0, 6.0]


def test_nothing_new_is_the_same_verdict_until_figures_are_due() -> None:
    own = judge()
    same = finding("h", 1.0)
    verdicts = [own.conclude(float(at), same, {"at": at}) for at in range(1, 15)]
    assert len({id(verdict) for verdict in verdicts}) == 2
    assert [verdict.figures["at"] for verdict in verdicts] == [1] * 10 + [11] * 4


def test_what_is_not_healthy_is_looked_at_again_soon() -> None:
    own = judge()
    own.conclude(1.0, finding("s", 1.0), {})
    assert own.settled_until == 3.0


def test_a_more_exact_cause_is_told_at_once() -> None:
    own = judge()
    own.conclude(1.0, finding("U", 1.0, Cause.PARTIAL_OUTAGE), {})
    verdict = own.conclude(2.0, finding("U", 1.0, Cause.DISK_FULL), {})
    assert (verdict.cause, verdict.since, verdict.onset) == (Cause.DISK_FULL, 1.0, 1.0)


def test_what_is_said_while_it_recovers() -> None:
    own = judge()
    own.conclude(1.0, finding("U", 1.0, reason="Its process ended."), {})
    own.conclude(2.0, finding("U", 1.0, reason="It is not back yet."), {})
    verdict = own.conclude(3.0, own.recovering(), {})
    assert verdict.reason == "Good again, but not for long enough yet; it was: Its process ended."
    assert own.conclude(4.0, own.persisting(), {}).reason == "It is not back yet."


def test_evidence_is_of_the_first_and_the_newest_of_each_kind() -> None:
    log = EvidenceLog()
    for at in range(100):
        log.add(float(at), Probe.KAFKA_CANARY, "timeout", f"try {at}")
    assert [(fact.at, fact.text) for fact in log.kept()] == [(0.0, "try 0"), (99.0, "try 99")]
    for at in range(100, 120):
        log.add(float(at), Probe.KAFKA_TCP, f"code {at}", "refused")
    kept = log.kept()
    assert len(kept) == 6
    assert [fact.at for fact in kept] == sorted(fact.at for fact in kept)
    log.clear()
    assert log.kept() == ()


def test_evidence_is_forgotten_with_the_trouble() -> None:
    own = judge()
    own.evidence.add(1.0, Probe.KAFKA_CANARY, "timeout", "no answer")
    assert len(own.conclude(1.0, finding("U", 1.0), {}).evidence) == 1
    assert own.conclude(2.0, finding("h", 2.0), {}).evidence == ()
    assert own.conclude(3.0, finding("U", 3.0), {}).evidence == ()
