"""What opens an incident and when, what opens none, and what is written down: stories of verdicts."""

from __future__ import annotations

import pytest

from include.health.verdicts import Evidence, State, Verdict
from include.incidents.decisions import Adopt, Hold, Open, Reason, Suppress
from include.playbook.names import Cause, Component, ScenarioId, Severity, Symptom
from tests.support.correlating import HEALTHY, KAFKA_GONE, MYSQL_RIGHTS, NAMES, UNKNOWN, Desk, bad, record, suspect

K, S, M, P, L = ScenarioId
C, Y = Cause, Symptom


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.mark.parametrize(
    ("name", "verdict", "severity", "opens"),
    [
        ("kafka", KAFKA_GONE, Severity.SEV_1, (0, Reason.DIRECT)),
        ("mysql", MYSQL_RIGHTS, Severity.SEV_2, (0, Reason.DIRECT)),
        ("stream", bad(C.BATCH_HUNG, Y.BATCH_HUNG), Severity.SEV_1, (0, Reason.DIRECT)),
        ("producer", bad(C.FEED_SILENT, Y.FEED_SILENT), Severity.SEV_2, (0, Reason.DIRECT)),
        ("lag", bad(C.TRAFFIC_SURGE, Y.LAG_GROWS, direct=False), Severity.SEV_2, (10, Reason.NO_ROOT_FOUND)),
        ("mysql", bad(C.NO_PROGRESS, Y.STALE_ROWS, direct=False), Severity.SEV_2, (10, Reason.NO_ROOT_FOUND)),
        ("producer", bad(C.RATE_LIMITED, Y.RATE_LIMITED, severity=Severity.SEV_3), Severity.SEV_3, (0, Reason.DIRECT)),
        ("stream", record(), Severity.SEV_4, (0, Reason.RECORD)),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_a_single_fault_is_one_incident(
    desk: Desk, name: str, verdict: Verdict, severity: Severity, opens: tuple[float, Reason]
) -> None:
    desk.show(**{name: verdict})
    opened = [d for d in desk.run(40) if isinstance(d, Open)]
    incident = desk.only()
    assert [d.reason for d in opened] == [opens[1]]
    assert (incident.scenario, incident.severity, incident.cause) == (NAMES[name], severity, verdict.cause)
    assert desk.seconds_to_open(incident) == opens[0]


def test_the_wait_of_an_inferred_symptom_counts_from_its_first_sign(desk: Desk) -> None:
    """A root had its chance while the symptom was not confirmed yet."""
    desk.show(lag=bad(C.TRAFFIC_SURGE, Y.LAG_GROWS, direct=False, began=30))
    desk.run(1)
    assert desk.only().scenario is L


# --- What opens nothing
@pytest.mark.parametrize(
    ("verdict", "reason"),
    [
        (record(C.STOPPED_ON_REQUEST), Reason.ON_REQUEST),
        (bad(C.STOPPED_ON_REQUEST, Y.PROCESS_GONE), Reason.ON_REQUEST),
        (bad(C.QUIET_MARKET, Y.NO_NEW_MESSAGES), Reason.NO_FAULT),
        (bad(C.FEED_SILENT, Y.FEED_SILENT, state=State.RECOVERING), Reason.HEALING),
    ],
)
def test_what_is_no_fault_opens_nothing_and_is_said_once(desk: Desk, verdict: Verdict, reason: Reason) -> None:
    desk.show(producer=verdict)
    desk.run(40)
    assert desk.opened() == []
    assert [(d.decision, d.reason) for d in desk.store.decisions()] == [(Suppress.kind, reason)]
    assert desk.store.decisions()[0].data["evidence"][0]["probe"] == "logs"


def test_what_suffers_from_a_stop_on_request_opens_nothing(desk: Desk) -> None:
    desk.show(kafka=record(C.STOPPED_ON_REQUEST))
    desk.run(2)
    desk.show(stream=bad(C.KAFKA_CONNECTION, Y.KAFKA_TRANSPORT), lag=bad(C.CONSUMER_STOPPED, Y.LAG_GROWS, direct=False))
    desk.run(60)
    assert desk.opened() == []
    assert {d.reason for d in desk.decisions} == {Reason.ON_REQUEST, Reason.ROOT_ON_REQUEST}


@pytest.mark.parametrize(("seconds", "opens"), [(58, 0), (62, 1)])
def test_what_a_stop_on_request_leaves_behind_is_given_time(desk: Desk, seconds: int, opens: int) -> None:
    desk.show(stream=record(C.STOPPED_ON_REQUEST))
    desk.run(2)
    desk.show(lag=bad(C.CONSUMER_STOPPED, Y.LAG_GROWS, direct=False))
    desk.run(200)
    desk.show(stream=HEALTHY)
    desk.run(seconds)
    assert len(desk.opened()) == opens


def test_a_stop_on_request_does_not_hide_that_data_will_be_lost(desk: Desk) -> None:
    desk.show(stream=record(C.STOPPED_ON_REQUEST))
    desk.run(2)
    desk.show(lag=bad(C.RETENTION_LOSS, Y.LAG_GROWS, direct=False))
    desk.run(20)
    assert desk.only().scenario is L


def test_a_start_on_request_is_no_record(desk: Desk) -> None:
    desk.show(producer=record(C.STOPPED_ON_REQUEST))
    desk.run(30)
    desk.show(producer=record())
    desk.run(15)
    assert desk.opened() == []


def test_a_start_before_the_watch_began_is_no_record() -> None:
    desk = Desk(started=False)
    desk.run(2)
    desk.show(**(dict.fromkeys(NAMES, HEALTHY) | {"kafka": record()}))
    desk.run(15)
    assert desk.opened() == []


def test_what_nobody_follows_opens_nothing_and_says_so(desk: Desk) -> None:
    desk.followed = frozenset({S})
    desk.show(mysql=MYSQL_RIGHTS)
    desk.run(30)
    assert desk.opened() == []
    assert [d.reason for d in desk.store.decisions()] == [Reason.NOT_FOLLOWED]
    desk.followed = frozenset({S, M})
    desk.run(1)
    assert desk.only().scenario is M


def test_a_symptom_of_a_root_that_nobody_follows_is_not_lost(desk: Desk) -> None:
    desk.followed = frozenset({S})
    desk.show(kafka=KAFKA_GONE, stream=bad(C.KAFKA_CONNECTION, Y.KAFKA_TRANSPORT))
    decided = desk.run(20)
    assert desk.only().scenario is S
    assert [d.reason for d in decided if isinstance(d, Open)] == [Reason.ROOT_NOT_FOLLOWED]


# --- Records
def test_a_record_that_becomes_worse_is_the_same_incident(desk: Desk) -> None:
    desk.show(stream=record())
    desk.run(5)
    assert desk.only().severity is Severity.SEV_4
    desk.show(stream=bad(C.CRASH_LOOP, Y.PROCESS_GONE))
    desk.run(5)
    assert (desk.only().severity, desk.only().cause) == (Severity.SEV_1, C.CRASH_LOOP)


def test_a_record_whose_fault_turns_out_to_be_a_symptom_is_merged(desk: Desk) -> None:
    desk.show(stream=record())
    desk.run(100)
    desk.show(kafka=KAFKA_GONE, stream=bad(C.KAFKA_CONNECTION, Y.KAFKA_TRANSPORT))
    desk.run(3)
    assert desk.of("stream").merged_into == desk.of("kafka").id


@pytest.mark.parametrize("state", [State.SUSPECT, State.UNHEALTHY])
def test_a_record_explains_no_fault(desk: Desk, state: State) -> None:
    """Nobody would be told of it."""
    desk.show(stream=bad(C.BATCHES_SLOW, Y.BATCH_SLOW, state=state, severity=Severity.SEV_4))
    desk.run(2)
    desk.show(lag=bad(C.CONSUMER_STOPPED, Y.LAG_GROWS, direct=False))
    decided = desk.run(20)
    assert desk.of("lag").severity is Severity.SEV_2
    assert [d.reason for d in decided if isinstance(d, Open)] == [Reason.NO_ROOT_FOUND]


# --- What is written down
def test_every_decision_is_stored_with_its_reason_once(desk: Desk) -> None:
    desk.show(kafka=suspect(), producer=bad(C.NETWORK, Y.KAFKA_TRANSPORT))
    desk.run(5)
    desk.show(kafka=KAFKA_GONE)
    desk.run(5)
    stored = [(d.scenario, d.decision, d.reason) for d in reversed(desk.store.decisions())]
    assert stored == [
        (P, Hold.kind, Reason.ROOT_SUSPECTED),
        (K, Open.kind, Reason.DIRECT),
        (P, Adopt.kind, Reason.EXPLAINED),
    ]


def test_the_timeline_tells_when_it_happened_and_what_was_seen(desk: Desk) -> None:
    desk.show(kafka=bad(C.PROCESS_GONE, Y.KAFKA_TRANSPORT, began=3))
    evidence = tuple(Evidence(desk.at, e.probe, e.code, f"line {n}") for n in range(20) for e in KAFKA_GONE.evidence)
    desk.verdicts[K] = desk.verdicts[K].__class__(
        **{f: getattr(desk.verdicts[K], f) for f in desk.verdicts[K].__struct_fields__} | {"evidence": evidence}
    )
    desk.run(1)
    [opened] = desk.store.timeline(desk.only().id)
    assert (opened.recorded_at - opened.event_at).total_seconds() == 3
    assert [e["text"] for e in opened.data["evidence"]] == [f"line {n}" for n in range(12, 20)]


def test_unknown_opens_no_incident_of_the_pipeline(desk: Desk) -> None:
    desk.show(**dict.fromkeys(NAMES, UNKNOWN))
    desk.run(14)
    assert desk.opened() == []
    desk.run(60)
    assert {i.target for i in desk.opened()} == {Component.MONITORING}
