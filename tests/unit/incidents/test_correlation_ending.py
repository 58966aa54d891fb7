"""How an incident goes on and ends: verification, residuals, relapses, severity."""

from __future__ import annotations

import pytest

from include.health.verdicts import Assessment, Harm, Hop, Stall, State, Verdict
from include.incidents.correlation_causes import more_exact
from include.incidents.decisions import BeginVerifying, Reason, Residual, Resolve
from include.incidents.model import EntryKind, IncidentState
from include.incidents.situation import situation_of
from include.playbook.names import Cause, ScenarioId, Severity, Symptom
from tests.support.correlating import HEALTHY, KAFKA_GONE, MYSQL_RIGHTS, NAMES, UNKNOWN, Desk, bad, record, suspect

K, S, M, P, L = ScenarioId
C, Y = Cause, Symptom
LAG_BEHIND = bad(C.CONSUMER_STOPPED, Y.LAG_GROWS, direct=False)


@pytest.fixture
def desk() -> Desk:
    return Desk()


def states(desk: Desk, incident_id: str) -> list[str]:
    """The states that an incident went through."""
    entries = desk.store.timeline(incident_id)
    return [e.data["change"]["state"][1] for e in entries if "state" in e.data.get("change", {})]


def hands_over(desk: Desk, name: str) -> bool:
    assessment = Assessment(at=desk.at, verdicts=desk.verdicts)
    return situation_of(NAMES[name], assessment, desk.views()).needs_hand_over


def kafka_down_with_symptoms(desk: Desk) -> str:
    desk.show(kafka=KAFKA_GONE)
    desk.run(5)
    desk.show(stream=bad(C.KAFKA_CONNECTION, Y.KAFKA_TRANSPORT), lag=LAG_BEHIND)
    desk.run(20)
    return desk.only().id


def test_root_and_symptoms_healthy_again_resolves(desk: Desk) -> None:
    incident = kafka_down_with_symptoms(desk)
    desk.show(kafka=HEALTHY)
    desk.run(5)
    assert desk.only().state is IncidentState.VERIFYING
    desk.show(stream=HEALTHY)
    desk.run(20)
    assert desk.only().state is IncidentState.VERIFYING  # the lag is not clear yet
    assert desk.attached(desk.only()) == {S: False, L: True}
    desk.show(lag=HEALTHY)
    desk.run(2)
    assert desk.store.incident(incident).state is IncidentState.RESOLVED
    assert desk.store.verify(incident) == ()


def test_a_root_without_symptoms_is_watched_for_a_moment(desk: Desk) -> None:
    desk.show(mysql=MYSQL_RIGHTS)
    desk.run(5)
    desk.show(mysql=HEALTHY)
    desk.run(8)
    assert desk.only().state is IncidentState.VERIFYING
    desk.run(5)
    assert desk.only().state is IncidentState.RESOLVED


@pytest.mark.parametrize("hidden", [HEALTHY, UNKNOWN], ids=["not noticed", "not to be seen"])
def test_a_symptom_that_shows_itself_only_after_the_root_healed_belongs_to_it(desk: Desk, hidden: Verdict) -> None:
    """The backlog is seen only now."""
    desk.show(kafka=KAFKA_GONE, lag=hidden)
    desk.run(10)
    desk.show(kafka=HEALTHY, lag=suspect(Y.LAG_GROWS))
    desk.run(30)
    assert desk.only().state is IncidentState.VERIFYING
    desk.show(lag=bad(C.TRAFFIC_SURGE, Y.LAG_GROWS, direct=False))
    desk.run(2)
    desk.run(1)
    [symptom] = desk.store.symptoms(desk.only().id)
    assert symptom.deadline_at is not None
    desk.show(lag=HEALTHY)
    desk.run(15)
    assert desk.only().state is IncidentState.RESOLVED


@pytest.mark.parametrize(("drain", "seconds"), [(None, 60), (20.0, 60), (100.0, 150)])
def test_symptoms_get_time_to_clear_by_the_backlog(desk: Desk, drain: float | None, seconds: float) -> None:
    kafka_down_with_symptoms(desk)
    draining = bad(C.CONSUMER_STOPPED, Y.LAG_GROWS, direct=False, figures={"drain_seconds": drain})
    desk.show(kafka=HEALTHY, stream=HEALTHY, lag=draining)
    healed = desk.at
    [verifying] = [d for d in desk.run(1) if isinstance(d, BeginVerifying)]
    assert [(d.scenario, d.at - healed) for d in verifying.deadlines] == [(L, seconds)]


def test_a_symptom_that_outlives_its_root_goes_on_in_the_same_incident(desk: Desk) -> None:
    incident = kafka_down_with_symptoms(desk)
    desk.show(kafka=HEALTHY, stream=HEALTHY)
    desk.run(60)
    assert not hands_over(desk, "lag")
    decided = desk.run(3)
    assert [d.reason for d in decided if isinstance(d, Residual)] == [Reason.OUTLIVED_ROOT]
    assert desk.only().state is IncidentState.MITIGATING
    assert hands_over(desk, "lag")
    desk.run(120)
    desk.show(lag=HEALTHY)
    desk.run(20)
    assert desk.store.incident(incident).state is IncidentState.RESOLVED
    assert [i.id for i in desk.opened()] == [incident]


def test_a_residual_makes_the_severity_that_of_its_own_scenario_if_worse(desk: Desk) -> None:
    desk.show(producer=bad(C.RATE_LIMITED, Y.NO_NEW_MESSAGES, severity=Severity.SEV_3))
    desk.run(2)
    desk.show(stream=bad(C.NO_PROGRESS, Y.NO_PROGRESS, direct=False))
    desk.run(2)
    assert desk.only().severity is Severity.SEV_3
    desk.show(producer=HEALTHY)
    desk.run(65)
    assert desk.only().severity is Severity.SEV_1


def test_a_backlog_whose_end_is_known_only_later_gets_more_time_once(desk: Desk) -> None:
    kafka_down_with_symptoms(desk)
    desk.show(kafka=HEALTHY, stream=HEALTHY)
    desk.run(30)
    desk.show(lag=bad(C.CONSUMER_STOPPED, Y.LAG_GROWS, direct=False, figures={"drain_seconds": 80.0}))
    decided = desk.run(60)
    assert not [d for d in decided if isinstance(d, Residual)]
    assert Reason.DRAINING in {d.reason for d in decided}
    decided = desk.run(120)
    assert [d.scenario for d in decided if isinstance(d, Residual)] == [L]


def test_a_relapse_goes_back_and_ends_once(desk: Desk) -> None:
    desk.show(kafka=KAFKA_GONE)
    desk.run(5)
    desk.show(kafka=HEALTHY)
    desk.run(5)
    desk.show(kafka=KAFKA_GONE)
    desk.run(5)
    assert desk.only().state is IncidentState.MITIGATING
    desk.show(kafka=HEALTHY)
    desk.run(20)
    assert states(desk, desk.only().id) == ["detected", "verifying", "mitigating", "mitigated", "verifying", "resolved"]


@pytest.mark.parametrize(("pause", "ids", "reopened"), [(500, 1, 1), (700, 2, 0)])
def test_a_fault_that_comes_back_within_ten_minutes_reopens(desk: Desk, pause: int, ids: int, reopened: int) -> None:
    for seconds in (20, 5):
        desk.show(kafka=KAFKA_GONE)
        desk.run(5)
        desk.show(kafka=HEALTHY)
        desk.run(seconds)
        desk.run(pause if seconds == 20 else 0)
    assert len(desk.opened()) == ids
    assert desk.of("kafka").reopened == reopened


def test_a_record_shortly_after_an_incident_does_not_bring_it_back(desk: Desk) -> None:
    desk.show(stream=bad(C.BATCH_HUNG, Y.BATCH_HUNG))
    desk.run(5)
    desk.show(stream=HEALTHY)
    desk.run(30)
    desk.show(stream=record())
    desk.run(15)
    assert desk.only().state is IncidentState.RESOLVED
    assert desk.store.timeline(desk.only().id)[-1].kind is EntryKind.OBSERVED
    assert [d.reason for d in desk.store.decisions() if d.decision == "suppress"] == [Reason.JUST_RESOLVED]


def test_flapping_keeps_the_incident_open(desk: Desk) -> None:
    flapping = bad(C.FEED_SILENT, Y.FEED_SILENT, state=State.FLAPPING)
    desk.show(producer=bad(C.FEED_SILENT, Y.FEED_SILENT))
    desk.run(5)
    desk.show(producer=flapping)
    desk.run(200)
    assert desk.only().state is IncidentState.DETECTED
    desk.show(producer=HEALTHY)
    desk.run(15)
    assert desk.only().state is IncidentState.RESOLVED


def test_a_record_is_over_as_soon_as_its_scenario_is_healthy(desk: Desk) -> None:
    desk.show(stream=record())
    desk.run(15)
    assert not hands_over(desk, "stream")
    desk.show(stream=HEALTHY)
    assert [d.reason for d in desk.run(1) if isinstance(d, Resolve)] == [Reason.RECORD_OVER]
    assert desk.only().state is IncidentState.RESOLVED


@pytest.mark.parametrize(
    "verdict", [UNKNOWN, suspect(), bad(C.PROCESS_GONE, Y.KAFKA_TRANSPORT, state=State.RECOVERING)]
)
def test_what_is_not_seen_to_be_healthy_ends_nothing(desk: Desk, verdict: Verdict) -> None:
    desk.show(kafka=KAFKA_GONE)
    desk.run(5)
    desk.show(kafka=verdict)
    desk.run(10)
    assert desk.only().state is IncidentState.DETECTED


def test_an_incident_of_an_earlier_process_is_resolved_by_the_next_one(desk: Desk) -> None:
    incident = kafka_down_with_symptoms(desk)
    desk.restart()
    desk.run(10)
    assert desk.store.incident(incident).state is IncidentState.DETECTED
    desk.show(**dict.fromkeys(NAMES, HEALTHY))
    desk.run(20)
    assert desk.store.incident(incident).state is IncidentState.RESOLVED
    assert [i.id for i in desk.opened()] == [incident]


def test_a_warning_after_the_fault_delays_the_end_and_not_the_verification(desk: Desk) -> None:
    """A restarted process is shown as such for a while."""
    desk.show(kafka=KAFKA_GONE)
    desk.run(5)
    desk.show(kafka=record())
    desk.run(15)
    assert desk.only().state is IncidentState.VERIFYING
    desk.show(kafka=HEALTHY)
    desk.run(2)
    assert desk.only().state is IncidentState.RESOLVED


def test_a_warning_behind_the_root_stays_with_it_until_it_is_over(desk: Desk) -> None:
    kafka_down_with_symptoms(desk)
    desk.show(kafka=HEALTHY, stream=HEALTHY, lag=record(C.TRAFFIC_SURGE, Y.LAG_GROWS))
    desk.run(200)
    assert desk.only().state is IncidentState.VERIFYING
    desk.show(lag=HEALTHY)
    desk.run(3)
    assert desk.only().state is IncidentState.RESOLVED


# --- Severity and cause
@pytest.mark.parametrize(
    ("stale", "risk", "severity"),
    [
        (None, 0.0, Severity.SEV_3),
        (14.0, 0.0, Severity.SEV_3),
        (61.0, 0.0, Severity.SEV_2),
        (301.0, 0.0, Severity.SEV_1),
        (None, 0.95, Severity.SEV_1),
    ],
)
def test_harm_raises_the_severity_and_its_end_does_not_lower_it(
    desk: Desk, stale: float | None, risk: float, severity: Severity
) -> None:
    desk.show(producer=bad(C.RATE_LIMITED, Y.RATE_LIMITED, severity=Severity.SEV_3))
    desk.run(2)
    desk.harm = Harm(stale, (), risk, "Rows are old.")
    desk.run(2)
    assert desk.only().severity is severity
    desk.harm = Harm()
    desk.run(2)
    assert desk.only().severity is severity


def test_harm_is_charged_to_the_incident_at_the_first_stalled_hop(desk: Desk) -> None:
    desk.show(producer=bad(C.RATE_LIMITED, Y.RATE_LIMITED, severity=Severity.SEV_3), mysql=MYSQL_RIGHTS)
    desk.stall = Stall(Hop.COUNTED, desk.at, "Counted stands still.")
    desk.harm = Harm(301.0, (), 0.0, "Rows are old.")
    desk.run(3)
    assert (desk.of("mysql").severity, desk.of("producer").severity) == (Severity.SEV_1, Severity.SEV_3)


@pytest.mark.parametrize(("stale", "severity"), [(20.0, Severity.SEV_4), (61.0, Severity.SEV_2)])
def test_a_record_is_raised_only_by_harm_that_calls_for_somebody(desk: Desk, stale: float, severity: Severity) -> None:
    desk.show(stream=record())
    desk.harm = Harm(stale, (), 0.0, "Rows are old.")
    desk.run(3)
    assert desk.only().severity is severity


def test_a_worse_verdict_raises_the_severity(desk: Desk) -> None:
    desk.show(producer=bad(C.RATE_LIMITED, Y.RATE_LIMITED, severity=Severity.SEV_3))
    desk.run(2)
    desk.show(producer=bad(C.BANNED, Y.RATE_LIMITED, severity=Severity.SEV_2))
    desk.run(2)
    assert (desk.only().severity, desk.only().cause) == (Severity.SEV_2, C.BANNED)


@pytest.mark.parametrize(
    ("old", "new", "replaces"),
    [
        (C.UNKNOWN, C.PROCESS_HUNG, True),
        (C.PROCESS_GONE, C.PROCESS_HUNG, False),  # it is starting, and does not answer yet
        (C.PROCESS_HUNG, C.PROCESS_GONE, True),
        (C.PROCESS_GONE, C.DISK_FULL, True),
        (C.DISK_FULL, C.CREDENTIALS, False),
        (C.SPARK_CAPACITY, C.SLOW_MYSQL_WRITES, True),
        (C.PROCESS_GONE, C.UNKNOWN, False),
    ],
)
def test_a_diagnosis_is_replaced_only_by_a_more_exact_one(old: Cause, new: Cause, replaces: bool) -> None:
    assert more_exact(new, old) is replaces


def test_the_cause_follows_the_diagnosis(desk: Desk) -> None:
    for cause in (C.PROCESS_GONE, C.PROCESS_HUNG, C.PORT_CONFLICT, C.PROCESS_GONE):
        desk.show(kafka=bad(cause, Y.KAFKA_TRANSPORT))
        desk.run(3)
    assert desk.only().cause is C.PORT_CONFLICT
