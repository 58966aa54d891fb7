"""``kafka_down`` in stories: what is seen from which second on, and what must be concluded when."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from include.health.config import DetectorConfig
from include.health.observations import Code, Observation, Probe
from include.health.rules.kafka_down import KafkaDownRules
from include.health.verdicts import State, Verdict
from include.playbook.names import Cause, Severity, Symptom
from include.playbook.thresholds import KafkaDownThresholds
from tests.support.observing import (
    START,
    Phase,
    blind,
    cluster,
    ended,
    failed,
    host,
    log,
    processes,
    producer,
    round_trip,
    runs,
    seconds,
    stopped,
    take,
    told,
)

H, S, B, R, U, F = (
    State.HEALTHY,
    State.SUSPECT,
    State.UNHEALTHY,
    State.RECOVERING,
    State.UNKNOWN,
    State.FLAPPING,
)
ALIVE, GONE, HELD = (processes(kafka=facts) for facts in (runs(), ended(), stopped()))
TCP, CANARY, META, GROUP = Probe.KAFKA_TCP, Probe.KAFKA_CANARY, Probe.KAFKA_METADATA, Probe.KAFKA_GROUP

WELL = (ALIVE, round_trip(TCP), round_trip(CANARY), cluster())
REFUSED = (failed(TCP, Code.REFUSED), failed(CANARY, Code.REFUSED), failed(META, Code.REFUSED))
TIMEOUTS = (failed(CANARY, Code.TIMEOUT), failed(META, Code.TIMEOUT))
HUNG = (ALIVE, round_trip(TCP), *TIMEOUTS)


def started(pid: int, age: float = 0.5) -> Observation:
    return processes(kafka=runs(pid, age))


class Then(NamedTuple):
    """At a second: the state and, if it matters, the cause."""

    at: float
    state: State
    cause: Cause | None = None


def rules(**changes: Any) -> KafkaDownRules:
    config = DetectorConfig(**changes)
    return KafkaDownRules(thresholds(), config)


def thresholds() -> KafkaDownThresholds:
    values: dict[str, Any] = {
        "canary_failures": 3,
        "canary_successes": 5,
        "tcp_failures": 3,
        "metadata_failures": 2,
        "metadata_successes": 2,
        "group_failures": 2,
        "unacknowledged_seconds": 5,
        "slow_seconds": 0.5,
        "slow_factor": 5,
        "slow_window_seconds": 30,
        "disk_free_share": 0.03,
        "flaps": 3,
        "flap_window_seconds": 600,
        "flap_calm_seconds": 300,
        "dwell_seconds": 10,
        "blind_seconds": 15,
    }
    return KafkaDownThresholds(**values)


def verdicts(phases: list[Phase], until: float, **changes: Any) -> dict[float, Verdict]:
    return told(rules(**changes), seconds(phases, until))


STORIES: dict[str, tuple[list[Phase], list[Then]]] = {
    "a quiet day": ([(0, WELL)], [Then(0, H, Cause.NONE), Then(60, H)]),
    "nothing seen yet": ([(0, ())], [Then(0, U, Cause.UNKNOWN), Then(5, U)]),
    "killed: at once": (
        [(0, WELL), (10, (GONE, *REFUSED))],
        [Then(9, H), Then(10, B, Cause.PROCESS_GONE), Then(60, B, Cause.PROCESS_GONE)],
    ),
    "gone, and the port is not looked at: the second look confirms": (
        [(0, WELL), (10, (GONE,))],
        [Then(10, S), Then(11, B, Cause.PROCESS_GONE)],
    ),
    "killed, and started again by somebody": (
        [(0, WELL), (10, (GONE, *REFUSED)), (20, (started(200), *REFUSED)), (28, (started(200, 8), *WELL[1:]))],
        [
            Then(20, B, Cause.PROCESS_GONE),
            Then(27, B, Cause.PROCESS_GONE),  # it only starts, and is not accused of hanging
            Then(28, R, Cause.PROCESS_GONE),
            Then(31, R),
            Then(32, H, Cause.NONE),
        ],
    ),
    "started again, and does not answer": (
        [(0, WELL), (10, (GONE, *REFUSED)), (20, (started(200), *HUNG[1:]))],
        [Then(35, B, Cause.PROCESS_GONE), Then(45, B, Cause.PROCESS_HUNG)],
    ),
    "hangs: accepts connections, answers nothing": (
        [(0, WELL), (10, HUNG)],
        [Then(10, S), Then(11, S), Then(12, B, Cause.PROCESS_HUNG), Then(40, B, Cause.PROCESS_HUNG)],
    ),
    "hangs for long: its queue of connections is full": (
        [(0, WELL), (10, HUNG), (60, (ALIVE, failed(TCP, Code.TIMEOUT), *TIMEOUTS))],
        [Then(70, B, Cause.PROCESS_HUNG)],
    ),
    "another broker than ours hangs: its process is not seen": (
        [(0, WELL[1:]), (10, HUNG[1:])],
        [Then(12, B, Cause.PROCESS_HUNG)],
    ),
    "another broker than ours is not there": ([(0, WELL[1:]), (10, REFUSED)], [Then(12, B, Cause.PROCESS_GONE)]),
    "the network is away": (
        [(0, WELL[1:]), (10, (failed(TCP, Code.UNREACHABLE), *TIMEOUTS))],
        [Then(12, B, Cause.NETWORK)],
    ),
    "two failures and good again": ([(0, WELL), (10, HUNG), (12, WELL)], [Then(11, S), Then(14, H)]),
    "restarted on request": (
        [
            (0, WELL),
            (10, (processes(kafka=stopped("stopping")), *REFUSED)),
            (12, (HELD, *REFUSED)),
            (14, (started(200), *REFUSED)),
            (20, (started(200, 7), *WELL[1:])),
        ],
        [
            Then(10, S, Cause.STOPPED_ON_REQUEST),
            Then(13, S, Cause.STOPPED_ON_REQUEST),
            Then(19, S, Cause.PROCESS_RESTARTED),
            Then(25, S, Cause.PROCESS_RESTARTED),
            Then(40, H),
        ],
    ),
    "held for hours": ([(0, WELL), (10, (HELD, *REFUSED))], [Then(10, S), Then(3000, S, Cause.STOPPED_ON_REQUEST)]),
    "restarted on request, and does not come back": (
        [(0, WELL), (10, (HELD, *REFUSED)), (12, (started(200), *REFUSED))],
        [Then(30, S), Then(36, B, Cause.PROCESS_HUNG)],
    ),
    "another pid, nothing else": (
        [(0, WELL), (10, (processes(kafka=runs(200)), *WELL[1:]))],
        [Then(10, S, Cause.PROCESS_RESTARTED), Then(31, H)],
    ),
    "stopped by a remedy while down": (
        [(0, WELL), (10, HUNG), (20, (HELD, *REFUSED)), (22, (started(200), *REFUSED)), (30, WELL)],
        [Then(20, B, Cause.PROCESS_HUNG), Then(25, B, Cause.PROCESS_HUNG), Then(31, R), Then(40, H)],
    ),
    "no leader": (
        [(0, WELL), (10, (ALIVE, round_trip(TCP), failed(CANARY, Code.NO_LEADER), cluster()))],
        [Then(11, S), Then(12, B, Cause.PARTIAL_OUTAGE)],
    ),
    "test messages do not go round, and nobody knows why": (
        [(0, WELL), (10, (ALIVE, round_trip(TCP), failed(CANARY, Code.TIMEOUT), cluster()))],
        [Then(12, S), Then(14, S), Then(15, B, Cause.PARTIAL_OUTAGE)],
    ),
    "rights": (
        [(0, WELL), (10, (ALIVE, round_trip(TCP), failed(CANARY, Code.CREDENTIALS), cluster()))],
        [Then(12, B, Cause.CREDENTIALS)],
    ),
    "storage error on a full disk": (
        [(0, (*WELL, host(kafka=0.0))), (10, (ALIVE, round_trip(TCP), failed(CANARY, Code.STORAGE), cluster()))],
        [Then(5, S, Cause.DISK_FULL), Then(12, B, Cause.DISK_FULL)],
    ),
    "storage error on a full disk, by its log": (
        [
            (0, WELL),
            (10, (log("kafka", "IOException: No space left on device"),)),
            (11, (ALIVE, round_trip(TCP), failed(CANARY, Code.STORAGE), cluster())),
        ],
        [Then(13, B, Cause.DISK_FULL)],
    ),
    "storage error for another reason": (
        [(0, WELL), (10, (ALIVE, round_trip(TCP), failed(CANARY, Code.STORAGE), cluster()))],
        [Then(12, B, Cause.PARTIAL_OUTAGE)],
    ),
    "old words of its log": (
        [(0, WELL), (10, (log("kafka", "Address already in use"),)), (11, WELL), (200, (GONE, *REFUSED))],
        [Then(200, B, Cause.PROCESS_GONE)],
    ),
    "hangs soon after it was started: it had answered": (
        [(0, (started(200), *REFUSED)), (3, (started(200, 4), *WELL[1:])), (5, (started(200, 6), *HUNG[1:]))],
        [Then(2, S), Then(6, S), Then(7, B, Cause.PROCESS_HUNG)],
    ),
    "hangs while it is started for the first time": (
        [(0, (started(200), *HUNG[1:]))],
        [Then(10, S, Cause.PROCESS_RESTARTED), Then(24, B, Cause.PROCESS_HUNG)],
    ),
    "the topic is missing for one look": (
        [(0, WELL), (10, (*WELL[:3], cluster(crypto_trades="missing"))), (11, WELL)],
        [Then(10, S), Then(12, H)],
    ),
    "the topic is back": (
        [(0, WELL), (10, (*WELL[:3], cluster(crypto_trades="missing"))), (30, WELL)],
        [Then(30, R), Then(31, H)],
    ),
    "no coordinator without a broker": (
        [(0, WELL), (10, (*HUNG, failed(GROUP, Code.TIMEOUT))), (40, WELL)],
        [Then(30, B, Cause.PROCESS_HUNG), Then(42, R, Cause.PROCESS_HUNG), Then(44, H)],
    ),
    "the topic is missing": (
        [(0, WELL), (10, (*WELL[:3], cluster(crypto_trades="missing")))],
        [Then(10, S), Then(11, B, Cause.TOPIC_MISSING)],
    ),
    "a broker of three is away": (
        [(0, (*WELL[:3], cluster(3))), (10, (*WELL[:3], cluster(2)))],
        [Then(9, H), Then(11, B, Cause.PARTIAL_OUTAGE)],
    ),
    "metadata alone: the observer's own trouble": (
        [(0, WELL), (10, (*WELL[:3], failed(META, Code.TIMEOUT))), (30, WELL)],
        [Then(10, S), Then(11, U, Cause.MONITORING_BLIND), Then(29, U), Then(31, H)],
    ),
    "the coordinator": (
        [(0, (*WELL, round_trip(GROUP))), (10, (*WELL, failed(GROUP, Code.TIMEOUT)))],
        [Then(10, S), Then(11, B, Cause.COORDINATOR)],
    ),
    "the probe's own trouble is nobody's": (
        [(0, WELL), (10, (ALIVE, blind(TCP), blind(CANARY), blind(META)))],
        [Then(10, H), Then(60, H)],
    ),
    "blind while down": (
        [(0, WELL), (10, HUNG), (20, (blind(TCP), blind(CANARY), blind(META)))],
        [Then(200, B, Cause.PROCESS_HUNG)],
    ),
    "the disk fills": ([(0, WELL), (10, (*WELL, host(kafka=0.02)))], [Then(10, S, Cause.DISK_FULL)]),
    "the port is taken": (
        [(0, WELL), (10, (GONE, *REFUSED, log("kafka", "java.net.BindException: Address already in use")))],
        [Then(10, B, Cause.PORT_CONFLICT)],
    ),
    "the log is corrupt": (
        [(0, WELL), (10, (GONE, *REFUSED, log("kafka", "Found invalid messages: CorruptRecordException")))],
        [Then(10, B, Cause.CORRUPTED_LOG)],
    ),
    "another's log is no hint": (
        [(0, WELL), (10, (GONE, *REFUSED, log("mysql", "Address already in use")))],
        [Then(10, B, Cause.PROCESS_GONE)],
    ),
    "not well for long enough": (
        [(0, WELL), (10, HUNG), (20, WELL), (23, HUNG), (24, WELL)],
        [Then(22, R), Then(23, B), Then(24, R), Then(27, R), Then(28, H)],
    ),
}


@pytest.mark.parametrize("name", STORIES)
def test_story(name: str) -> None:
    phases, thens = STORIES[name]
    brokers = 3 if "three" in name else 1
    seen = verdicts(phases, max(then.at for then in thens), brokers=brokers)
    found = [Then(t.at, seen[t.at].state, seen[t.at].cause if t.cause else None) for t in thens]
    assert found == thens


def test_what_a_person_reads() -> None:
    verdict = verdicts([(0, WELL), (10, (GONE, *REFUSED))], 14)[14]
    assert verdict.reason == "Nobody listens on the broker's port; its process ended with exit code -9."
    assert (verdict.symptom, verdict.direct, verdict.severity) == (Symptom.PROCESS_GONE, True, None)
    assert (verdict.onset, verdict.since) == (START + 10, START + 10)
    texts = {(fact.probe, fact.text) for fact in verdict.evidence}
    assert (Probe.PROCESSES, "kafka: its process ended with exit code -9") in texts
    assert {(probe, "refused") for probe in (TCP, CANARY, META)} <= texts
    assert len(verdict.evidence) <= 12


def test_the_onset_is_the_first_bad_sample() -> None:
    verdict = verdicts([(0, WELL), (10, HUNG)], 40)[40]
    assert (verdict.onset, verdict.since) == (START + 10, START + 12)
    assert verdict.symptom is Symptom.KAFKA_TRANSPORT


@pytest.mark.parametrize(
    ("looks", "cause", "symptom", "severity"),
    [
        ((*WELL[:2], failed(CANARY, Code.CREDENTIALS)), Cause.CREDENTIALS, Symptom.KAFKA_REFUSES, None),
        ((*WELL[:3], cluster(crypto_trades="missing")), Cause.TOPIC_MISSING, Symptom.KAFKA_REFUSES, None),
        ((*WELL[:2], failed(CANARY, Code.NO_LEADER)), Cause.PARTIAL_OUTAGE, Symptom.KAFKA_TRANSPORT, None),
        ((*WELL, failed(GROUP, Code.TIMEOUT)), Cause.COORDINATOR, Symptom.KAFKA_TRANSPORT, Severity.SEV_3),
        ((HELD, *REFUSED), Cause.STOPPED_ON_REQUEST, Symptom.PROCESS_GONE, Severity.SEV_4),
    ],
)
def test_classes_for_correlation(
    looks: tuple[Observation, ...], cause: Cause, symptom: Symptom, severity: Severity | None
) -> None:
    verdict = verdicts([(0, WELL), (10, looks)], 20)[20]
    assert (verdict.cause, verdict.symptom, verdict.severity) == (cause, symptom, severity)


def test_slow_is_three_times_confirmed() -> None:
    """Beyond the limit, beyond its own normal, twice."""

    def slow(seconds: float) -> tuple[Observation, ...]:
        return *WELL[:2], round_trip(CANARY, seconds), cluster()

    usual, slower = slow(0.02), slow(0.9)
    assert verdicts([(0, usual), (900, slow(0.3))], 1200)[1200].state is H  # far from normal, within the limit
    assert verdicts([(0, slow(0.2)), (900, slower)], 1200)[1200].state is H  # beyond the limit, near to normal
    seen = verdicts([(0, usual), (900, slower), (1200, usual)], 1300)
    assert next(second for second, verdict in seen.items() if verdict.state is B) == pytest.approx(960, abs=31)
    assert (seen[1100].cause, seen[1100].severity) == (Cause.DEGRADED, Severity.SEV_3)
    assert seen[1300].state is H


def test_flapping_stays_open_until_it_is_calm() -> None:
    phases: list[Phase] = [(0, WELL)]
    for turn in range(3):
        phases += [(100 + turn * 100, HUNG), (130 + turn * 100, WELL)]
    seen = verdicts(phases, 700)
    assert [seen[at].state for at in (110, 150, 210, 250, 310, 350)] == [B, H, B, H, F, F]
    last_bad = max(at for at, verdict in seen.items() if verdict.state is not F and at < 310)
    assert last_bad < 303
    assert seen[333 + 290].state is F
    assert seen[345 + 300].state is H
    assert seen[350].onset == seen[310].onset


def test_after_a_gap_runs_begin_anew() -> None:
    own = rules()
    told(own, seconds([(0, WELL), (10, HUNG)], 11))
    own.resumed(START + 500)
    for at in (500, 501):
        for observation in HUNG:
            take(own, START + at, observation)
        assert own.verdict(START + at).state in (S, U)
    for observation in HUNG:
        take(own, START + 502, observation)
    assert own.verdict(START + 502).state is B


def test_figures() -> None:
    figures = verdicts([(0, (*WELL, host(kafka=0.4)))], 120)[120].figures
    assert figures["canary_seconds"] == pytest.approx(0.005)
    assert (figures["brokers"], figures["disk_free_share"]) == (1, 0.4)


def test_a_settled_verdict_is_the_same_object() -> None:
    seen = list(verdicts([(0, WELL)], 100).values())
    assert len({id(verdict) for verdict in seen}) < 30


def test_a_producer_that_waits_is_a_path_of_its_own() -> None:
    look = (ALIVE, round_trip(TCP), failed(CANARY, Code.TIMEOUT), cluster())
    seen = verdicts([(0, WELL), (10, look), (12, (*look, producer(oldest_unacknowledged_seconds=9.0)))], 12)
    assert (seen[12].state, seen[12].cause) == (B, Cause.PROCESS_HUNG)
    assert "btc_producer has waited 9 s for an acknowledgement" in {fact.text for fact in seen[12].evidence}
