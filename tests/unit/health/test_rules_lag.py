"""Stories of kafka_lag: growth told from noise, catching up from falling behind, and why."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.health.config import DetectorConfig
from include.health.observations import Code, Observation, OffsetsFacts, PartitionFacts, Probe
from include.health.rules.kafka_lag import KafkaLagRules
from include.health.verdicts import State, Verdict
from include.playbook.names import Cause, ScenarioId, Severity, Symptom
from include.playbook.thresholds import LagThresholds
from tests.support.flow import SYMBOL, Act, Flow, Script, changes, first, watched
from tests.support.observing import START, blind, failed, ok, thresholds
from tests.support.processor_stories import halted

_FAULT_AT = 300
_LIMIT = 15.0


def _rules(**config: Any) -> KafkaLagRules:
    limits = thresholds(ScenarioId.KAFKA_LAG, LagThresholds)
    return KafkaLagRules(limits, DetectorConfig(symbols=(SYMBOL,), **config))


def _told(act: Act, until: float = 500, script: Script | None = None, *, trades: float = 20.0) -> dict[float, Verdict]:
    return watched(_rules(), Flow(trades=trades), until, {_FAULT_AT: act, **(script or {})})


def _sets(**values: Any) -> Act:
    def act(flow: Flow) -> None:
        for name, value in values.items():
            setattr(flow, name, value)

    return act


def _lag_visible(trades: float, reads: float) -> float:
    """Seconds from the beginning until the oldest unread record is older than the limit."""
    return _LIMIT * trades / (trades - reads) if reads else _LIMIT


@pytest.mark.parametrize(
    ("name", "act", "reads", "cause", "direct"),
    [
        ("Spark", _sets(reads=10), 10, Cause.SPARK_CAPACITY, True),
        ("MySQL", _sets(reads=10, batch_seconds=2.0, mysql_seconds=1.8), 10, Cause.SLOW_MYSQL_WRITES, False),
    ],
)
def test_a_consumer_that_is_too_slow_is_found_soon_after_the_lag_is_felt(
    name: str, act: Act, reads: float, cause: Cause, direct: bool
) -> None:
    verdicts = _told(act)
    when = first(verdicts, State.UNHEALTHY)
    assert when is not None, name
    visible = _FAULT_AT + _lag_visible(20, reads)
    assert visible <= when <= visible + 30
    verdict = verdicts[400]
    assert (verdict.cause, verdict.symptom, verdict.direct) == (cause, Symptom.LAG_GROWS, direct)


def test_more_trades_than_can_be_read_are_a_surge() -> None:
    verdicts = _told(_sets(trades=60.0, reads=30))
    assert verdicts[400].cause is Cause.TRAFFIC_SURGE
    assert verdicts[400].state is State.UNHEALTHY


def test_a_surge_that_is_kept_up_with_is_nothing() -> None:
    assert first(_told(_sets(trades=100.0)), State.UNHEALTHY, State.SUSPECT) is None


def test_a_stopped_consumer_is_another_scenarios_symptom() -> None:
    verdicts = _told(halted)
    when = first(verdicts, State.UNHEALTHY)
    assert 45 <= when - _FAULT_AT <= 60  # type: ignore[operator]
    assert verdicts[400].cause is Cause.CONSUMER_STOPPED
    assert not verdicts[400].direct


@pytest.mark.parametrize("reads", [25, 30, 100])
@pytest.mark.parametrize("seconds", [12, 17, 22, 28, 35, 40, 44])
def test_a_restart_of_the_job_and_its_catching_up_never_open(seconds: float, reads: float) -> None:
    def back(flow: Flow) -> None:
        flow.stopped.clear()
        flow.reads = reads

    assert first(_told(halted, 480, {_FAULT_AT + seconds: back}), State.UNHEALTHY) is None


def test_a_backlog_that_drains_is_a_warning_with_its_time_to_drain() -> None:
    """The observer comes when the job works through an hour of unread records."""
    flow = Flow(trades=20)
    flow.traded = flow.received = flow.acked = 20_000
    flow._ends = [20_000]
    flow.reads = 100

    def waiting(flow: Flow) -> None:
        flow.partition["waiting_seconds"] = max(0.0, (flow.acked - flow.committed) / 20)

    verdicts = watched(_rules(), flow, 200, {float(second): waiting for second in range(1, 200)})
    assert first(verdicts, State.UNHEALTHY) is None
    warning = verdicts[100]
    assert (warning.state, warning.severity) == (State.SUSPECT, Severity.SEV_4)
    assert "read in about" in warning.reason
    assert 100 <= warning.figures["drain_seconds"] <= 180  # type: ignore[operator]


def test_a_backlog_that_does_not_drain_is_bad_although_it_does_not_grow() -> None:
    def level(flow: Flow) -> None:
        flow.reads = 20

    verdicts = _told(_sets(reads=10), 900, {360: level})
    assert verdicts[900].state is State.UNHEALTHY


def test_hours_of_slow_growth_with_dips_are_found() -> None:
    """Two per cent too much; every ten minutes a dip, in which the lag shrinks for half a minute."""
    script: dict[float, Act] = {}
    for begin in range(900, 9_000, 600):
        script[float(begin)] = _sets(trades=15.0)
        script[float(begin + 30)] = _sets(trades=20.4)
    verdicts = watched(_rules(), Flow(trades=20.4), 9_000, {_FAULT_AT: _sets(reads=20), **script})
    when = first(verdicts, State.UNHEALTHY)
    assert when is not None
    waited = max(float(v.figures.get("waiting_seconds") or 0) for s, v in verdicts.items() if s < when)
    assert waited < 1.5 * _LIMIT
    assert {v.state for s, v in verdicts.items() if s > when + 60} <= {State.UNHEALTHY, State.RECOVERING}


def test_a_growing_lag_tells_when_records_will_be_lost() -> None:
    """Half of what comes is read: each second the oldest record waits half a second longer, and an hour is kept."""
    verdicts = _told(_sets(reads=10), _FAULT_AT + 120)
    assert verdicts[_FAULT_AT - 1].figures["loss_in_seconds"] is None
    waits = float(verdicts[_FAULT_AT + 120].figures["waiting_seconds"] or 0)
    loss = float(verdicts[_FAULT_AT + 120].figures["loss_in_seconds"] or 0)
    assert loss == pytest.approx((3_600 - waits) / 0.5, rel=0.15)


def test_a_growth_is_warned_of_before_it_is_too_much() -> None:
    verdicts = _told(_sets(reads=18), 600)
    warned, opened = first(verdicts, State.SUSPECT), first(verdicts, State.UNHEALTHY)
    assert warned is not None
    assert opened is not None
    assert warned < opened - 20
    assert verdicts[warned].severity is Severity.SEV_4


@pytest.mark.parametrize("noise", [0.3, 0.8])
def test_the_saw_of_micro_batches_is_no_growth(noise: float) -> None:
    """Batches of 5 s, of every size: the lag rises and falls all the time."""
    source, flow = random.Random(7), Flow(trades=20)

    def turn(flow: Flow) -> None:
        flow.trades = 20 * source.uniform(1 - noise, 1 + noise)
        if flow.now % 5 == 0:
            flow.stopped.clear()
        else:
            halted(flow)

    verdicts = watched(_rules(micro_batch_seconds=5.0), flow, 3_600, {float(s): turn for s in range(1, 3_600)})
    assert {v.state for v in verdicts.values()} <= {State.UNKNOWN, State.HEALTHY}


def test_one_partition_behind_is_skew() -> None:
    flow = Flow(trades=20)

    def offsets(flow: Flow) -> Observation:
        late = max(0.0, flow.now - _FAULT_AT)
        partitions = {
            0: PartitionFacts(end=flow.acked, committed=flow.acked - int(15 * late), waiting_seconds=late or 0.5),
            1: PartitionFacts(end=2 * flow.acked, committed=2 * flow.acked - 5, waiting_seconds=0.5),
        }
        return ok(Probe.OFFSETS, OffsetsFacts(partitions=partitions, retention_seconds=86_400.0))

    flow._offsets = lambda: offsets(flow)  # type: ignore[method-assign]
    verdicts = watched(_rules(), flow, 400)
    assert verdicts[400].state is State.UNHEALTHY
    assert verdicts[400].cause is Cause.SKEWED_PARTITION


def test_rows_that_advance_without_commits_are_a_record_and_no_stopped_consumer() -> None:
    verdicts = _told(lambda flow: flow.stopped.add("committed"), 400)
    found = verdicts[350]
    assert (found.state, found.cause, found.severity) == (
        State.UNHEALTHY,
        Cause.OFFSETS_NOT_COMMITTED,
        Severity.SEV_4,
    )
    assert {v.severity for v in verdicts.values() if v.state.bad} == {Severity.SEV_4}


def test_a_job_that_died_between_row_and_commit_is_a_stopped_consumer() -> None:
    def dies(flow: Flow) -> None:
        flow.stopped.add("committed")

    verdicts = _told(dies, 420, {_FAULT_AT + 1: halted})
    assert verdicts[420].cause is Cause.CONSUMER_STOPPED


@pytest.mark.parametrize(
    ("waiting", "start", "severity"),
    [(2_500.0, 0, None), (3_100.0, 0, Severity.SEV_1), (2_000.0, 100_000, Severity.SEV_1)],
)
def test_unread_records_close_to_deletion(waiting: float, start: int, severity: Severity | None) -> None:
    """Retention is an hour here; a log that begins behind the committed offset has lost records already."""

    def act(flow: Flow) -> None:
        flow.reads = 200
        flow.traded += 150_000
        flow.partition.update(waiting_seconds=waiting, start=start)

    verdict = _told(act, 330)[330]
    assert (verdict.state, verdict.cause, verdict.severity) == (State.UNHEALTHY, Cause.RETENTION_LOSS, severity)


@pytest.mark.parametrize(
    "facts",
    [{"end": 900}, {"waiting_seconds": None}],
    ids=["end before committed", "record not readable"],
)
def test_a_round_that_is_no_measurement_is_not_judged(facts: dict[str, Any]) -> None:
    """Stale end offsets: for ten seconds nothing, for longer unknown, never bad, never healthy again."""

    def stale(flow: Flow) -> None:
        flow.partition.update(facts)
        flow.stopped.add("committed")

    verdicts = _told(stale, 340)
    assert verdicts[310].state is State.HEALTHY
    assert (verdicts[340].state, verdicts[340].cause) == (State.UNKNOWN, Cause.MONITORING_BLIND)
    bad = _told(_sets(reads=10), 460, {400: stale})
    assert bad[460].state is State.UNHEALTHY


def test_a_new_leader_is_waited_for() -> None:
    flow = Flow(trades=20)
    flow.partition["leader_epoch"] = 1
    script = {_FAULT_AT: lambda flow: flow.partition.update(leader_epoch=2, end=10**9, waiting_seconds=900.0)}
    script[_FAULT_AT + 8] = lambda flow: flow.partition.clear()
    assert first(watched(_rules(), flow, 400, script), State.UNHEALTHY, State.SUSPECT) is None


def test_kafka_that_does_not_tell_leaves_the_lag_unknown_and_explained() -> None:
    verdicts = _told(lambda flow: flow.told.update({Probe.OFFSETS: failed(Probe.OFFSETS, Code.TIMEOUT)}), 340)
    assert (verdicts[340].state, verdicts[340].symptom) == (State.UNKNOWN, Symptom.KAFKA_TRANSPORT)


def test_what_was_bad_is_healthy_after_a_minute_below_the_exit() -> None:
    def over(flow: Flow) -> None:
        flow.reads = None

    verdicts = _told(_sets(reads=10), 600, {450: over})
    assert changes({s: v for s, v in verdicts.items() if s > 400}) == ["unhealthy", "recovering", "healthy"]
    assert 60 <= first({s: v for s, v in verdicts.items() if s > 450}, State.HEALTHY) - 450 <= 75  # type: ignore[operator]


@given(
    trades=st.floats(0, 30),
    pauses=st.lists(st.tuples(st.integers(20, 500), st.integers(1, 200)), max_size=3),
)
@settings(max_examples=25, deadline=None)
def test_a_quiet_market_has_no_lag(trades: float, pauses: list[tuple[int, int]]) -> None:
    script: dict[float, Act] = {}
    for begin, length in pauses:
        script[float(begin)] = _sets(trades=0.0)
        script[float(begin + length)] = _sets(trades=trades)
    verdicts = watched(_rules(), Flow(trades=trades), 600, script)
    assert {v.state for v in verdicts.values()} <= {State.UNKNOWN, State.HEALTHY}
    assert all(v.figures.get("waiting_seconds", 0) == 0 for v in verdicts.values())


@pytest.mark.parametrize("act", [_sets(reads=10), None], ids=["slow", "well"])
def test_unknown_neither_enters_nor_clears(act: Act | None) -> None:
    def unseen(flow: Flow) -> None:
        for probe in (Probe.OFFSETS, Probe.PROCESSOR, Probe.MYSQL_LEDGER):
            flow.told[probe] = blind(probe)

    verdicts = watched(_rules(), Flow(trades=20), 800, {**({_FAULT_AT: act} if act else {}), 450: unseen})
    assert verdicts[800].state is (State.UNHEALTHY if act else State.UNKNOWN)


def test_a_topic_that_nobody_has_begun_to_read_is_not_judged_by_its_age() -> None:
    flow = Flow(trades=20)
    flow.partition.update(committed=None, waiting_seconds=None)
    assert {v.state for s, v in watched(_rules(), flow, 200).items() if s > 2} == {State.HEALTHY}


def test_after_a_gap_in_looking_rates_are_measured_anew() -> None:
    rules, flow = _rules(), Flow(trades=20)
    watched(rules, flow, 100)
    rules.resumed(START + 400)
    flow.now = 400.0
    flow._ends = [0] * 400
    flow.traded += 6_000
    verdicts = watched(rules, flow, 420)
    assert first(verdicts, State.UNHEALTHY, State.SUSPECT) is None
    assert verdicts[420].figures["incoming_per_second"] == pytest.approx(20, abs=1)


def test_growth_that_is_over_does_not_open_while_it_drains() -> None:
    verdicts = _told(_sets(reads=10), 400, {334: _sets(reads=25)})
    assert first(verdicts, State.UNHEALTHY) is None
    assert first(verdicts, State.SUSPECT) is not None


def test_long_writes_are_slow_and_not_stopped() -> None:
    """Each batch waits 15 s in MySQL, in which nothing is committed."""

    def turn(flow: Flow) -> None:
        if flow.now % 15 == 0:
            flow.stopped.clear()
        else:
            halted(flow)
        age = flow.now % 15
        flow.processor.update(batch_running=True, batch_phase="mysql", batch_age_seconds=age, phase_age_seconds=age)
        flow.reads, flow.batch_seconds, flow.mysql_seconds = 150, 15.0, 14.5

    script: dict[float, Act] = {float(second): turn for second in range(_FAULT_AT, 460)}
    verdicts = watched(_rules(), Flow(trades=20), 460, script)
    assert first(verdicts, State.UNHEALTHY) <= _FAULT_AT + 34  # type: ignore[operator]
    assert {v.cause for v in verdicts.values() if v.state.bad} == {Cause.SLOW_MYSQL_WRITES}


def test_a_broker_that_is_back_with_a_backlog_gives_the_job_time_to_begin() -> None:
    def gone(flow: Flow) -> None:
        halted(flow)
        flow.told[Probe.OFFSETS] = failed(Probe.OFFSETS, Code.REFUSED)

    def back(flow: Flow) -> None:
        flow.told.clear()

    script: dict[float, Act] = {340: back, 355: lambda flow: flow.stopped.clear()}
    assert first(_told(gone, 500, script), State.UNHEALTHY) is None


def test_a_growth_too_small_to_be_felt_is_not_told() -> None:
    def creeping(flow: Flow) -> None:
        flow.partition.update(waiting_seconds=10.0 + flow.now / 200, committed=flow.committed - 10)

    script: dict[float, Act] = {float(second): creeping for second in range(1, 500)}
    verdicts = watched(_rules(), Flow(trades=20), 500, script)
    assert first(verdicts, State.SUSPECT, State.UNHEALTHY) is None
