"""Stories of stream_processor_failure: how long batches may take, slow ones told from noise, and a quiet market."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.health.verdicts import State
from include.playbook.names import Cause, Severity, Symptom
from tests.support.flow import Act, Flow, both, changes, first, watched
from tests.support.processor_stories import FAULT_AT, batch_in, halted, processor_rules, told, works


def test_a_first_batch_of_fourteen_seconds_hangs_not() -> None:
    verdicts = told(batch_in("aggregate"), 345, {314: works})
    assert changes(verdicts) == ["healthy"]


def test_a_batch_with_a_backlog_is_granted_more_time() -> None:
    def backlog(flow: Flow) -> None:
        flow.traded += 200_000

    verdicts = told(both(backlog, batch_in("aggregate")), 400)
    assert 55 <= first(verdicts, State.UNHEALTHY) - FAULT_AT <= 65  # type: ignore[operator]


def test_a_job_that_usually_needs_long_is_granted_more_time() -> None:
    flow = Flow()
    flow.batch_seconds = 6.0
    verdicts = watched(processor_rules(micro_batch_seconds=5.0), flow, 400, {FAULT_AT: batch_in("aggregate")})
    assert 36 <= first(verdicts, State.UNHEALTHY) - FAULT_AT <= 38  # type: ignore[operator]


@pytest.mark.parametrize(("mysql", "symptom"), [(0.2, Symptom.BATCH_SLOW), (4.0, Symptom.MYSQL_SLOW)])
def test_slow_batches_are_a_record_that_tells_whose_time_it_is(mysql: float, symptom: Symptom) -> None:
    def slow(flow: Flow) -> None:
        flow.batch_seconds, flow.mysql_seconds = 5.0, mysql

    def quick(flow: Flow) -> None:
        flow.batch_seconds, flow.mysql_seconds = 0.3, 0.05

    verdicts = told(slow, 420, {360: quick})
    found = verdicts[340]
    assert (found.state, found.severity, found.cause) == (State.SUSPECT, Severity.SEV_4, Cause.BATCHES_SLOW)
    assert found.symptom is symptom
    assert changes(verdicts) == ["healthy", "suspect", "healthy"]


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("one spike", {"batch_seconds": 5.0}),
        ("slower, within the interval", {"batch_seconds": 0.9}),
        ("slower by less than a second", {"batch_seconds": 1.2}),
    ],
)
def test_what_is_no_spike(name: str, change: dict[str, float]) -> None:
    def act(flow: Flow) -> None:
        flow.batch_seconds = change["batch_seconds"]

    def back(flow: Flow) -> None:
        flow.batch_seconds = 0.3

    script = {FAULT_AT + 2: back} if name == "one spike" else {}
    assert changes(told(act, 360, script)) == ["healthy"], name


def test_batches_of_a_catch_up_are_no_spikes() -> None:
    def catches_up(flow: Flow) -> None:
        flow.batch_seconds = 5.0
        flow.trades = 500.0

    assert changes(told(catches_up, 330)) == ["healthy"]


@given(
    rate=st.floats(0, 30),
    pauses=st.lists(st.tuples(st.integers(20, 500), st.integers(1, 200)), max_size=3),
    seed=st.integers(0, 1_000),
)
@settings(max_examples=25, deadline=None)
def test_a_quiet_market_never_opens(rate: float, pauses: list[tuple[int, int]], seed: int) -> None:
    """No trades, few, or many after none; batches with the noise of a busy host."""
    source = random.Random(seed)

    def set_trades(value: float) -> Act:
        def act(flow: Flow) -> None:
            flow.trades, flow.batch_seconds = value, source.uniform(0.1, 0.9)

        return act

    script: dict[float, Act] = {}
    for begin, length in pauses:
        script[float(begin)] = set_trades(0.0)
        script[float(begin + length)] = set_trades(rate)
    verdicts = watched(processor_rules(), Flow(trades=rate), 600, script)
    assert {v.state for v in verdicts.values()} == {State.HEALTHY}


def test_figures_of_a_healthy_day() -> None:
    figures = watched(processor_rules(), Flow(), 120)[120].figures
    assert figures["batch_seconds"] == 0.3
    assert figures["batch_rows"] == 10
    assert figures["mysql_share"] == pytest.approx(0.17)
    assert figures["status"] == "running"


def test_durations_that_always_vary_are_no_spikes() -> None:
    source, flow = random.Random(2), Flow()

    def turn(flow: Flow) -> None:
        flow.batch_seconds = source.choice([0.3, 1.8, 3.0])

    script: dict[float, Act] = {float(second): turn for second in range(1, 290)}
    verdicts = watched(processor_rules(), flow, 360, {**script, 300: lambda flow: setattr(flow, "batch_seconds", 4.0)})
    assert first({s: v for s, v in verdicts.items() if s > 295}, State.SUSPECT) is None


def test_a_slow_batch_has_many_rows_and_is_no_catch_up_for_that() -> None:
    def turn(flow: Flow) -> None:
        flow.batch_seconds = 4.3
        if flow.now % 4 == 0:
            flow.stopped.clear()
        else:
            halted(flow)

    script: dict[float, Act] = {float(second): turn for second in range(FAULT_AT, 340)}
    verdicts = watched(processor_rules(), Flow(trades=40), 340, script)
    assert 8 <= first(verdicts, State.SUSPECT) - FAULT_AT <= 20  # type: ignore[operator]
