"""What cannot be seen: the observer's own incident, or part of what hides it."""

from __future__ import annotations

import msgspec
import pytest

from include.health.observations import Probe
from include.health.verdicts import Assessment, Harm, State, Verdict
from include.incidents.decisions import Hold, Reason, Suppress
from include.incidents.model import IncidentState
from include.incidents.situation import situation_of
from include.playbook.names import Cause, Component, ScenarioId, Severity, Symptom
from tests.support.correlating import HEALTHY, KAFKA_GONE, MYSQL_RIGHTS, NAMES, UNKNOWN, Desk, record, suspect

K, S, M, P, L = ScenarioId
C, Y = Cause, Symptom


@pytest.fixture
def desk() -> Desk:
    return Desk()


def hands_over(desk: Desk, name: str) -> bool:
    assessment = Assessment(at=desk.at, verdicts=desk.verdicts)
    return situation_of(NAMES[name], assessment, desk.views()).needs_hand_over


ALL = tuple(NAMES)


def test_one_blind_probe_is_one_incident_however_many_scenarios_need_it(desk: Desk) -> None:
    desk.cannot_see(Probe.MYSQL_LEDGER, *ALL)
    desk.show(mysql=UNKNOWN, lag=UNKNOWN)
    desk.run(14)
    assert desk.opened() == []
    desk.run(30)
    incident = desk.only()
    assert (incident.scenario, incident.target) == (M, Component.MONITORING)
    assert (incident.cause, incident.severity) == (C.MONITORING_BLIND, Severity.SEV_3)
    assert set(desk.attached(incident)) == {K, S, P, L}
    assert not any(hands_over(desk, name) for name in ALL)


def test_all_probes_blind_is_one_incident(desk: Desk) -> None:
    """The observer's host lost its network, say."""
    for probe in Probe:
        desk.cannot_see(probe, *ALL)
        desk.run(1)
    desk.show(**dict.fromkeys(NAMES, UNKNOWN))
    desk.run(60)
    assert desk.only().target is Component.MONITORING


def test_two_probes_that_go_blind_in_the_same_moment_are_one_incident(desk: Desk) -> None:
    desk.cannot_see(Probe.KAFKA_GROUP, "kafka")
    desk.cannot_see(Probe.MYSQL_AUDIT, "mysql")
    desk.run(30)
    assert desk.only().scenario is K
    assert desk.attached(desk.only()) == {M: True}


@pytest.mark.parametrize(
    ("also", "incidents"), [(("mysql", "stream"), 1), (("producer",), 2)], ids=["same scenario", "others"]
)
def test_a_blindness_later_on_is_the_same_trouble_if_it_concerns_the_same(
    desk: Desk, also: tuple[str, ...], incidents: int
) -> None:
    desk.cannot_see(Probe.MYSQL_AUDIT, "mysql")
    desk.run(200)
    desk.cannot_see(Probe.LOGS, *also)
    desk.run(40)
    assert len(desk.opened()) == incidents


def test_blindness_ends_when_everything_is_seen_again(desk: Desk) -> None:
    desk.cannot_see(Probe.OFFSETS, "lag", "stream")
    desk.show(lag=UNKNOWN)
    desk.run(30)
    desk.blind = ()
    desk.run(5)
    assert desk.only().state is IncidentState.DETECTED  # the lag is still unknown
    desk.show(lag=HEALTHY)
    desk.run(2)
    assert desk.only().state is IncidentState.RESOLVED
    assert desk.attached(desk.only()) == {S: False}


def test_what_a_broken_component_hides_is_part_of_its_incident(desk: Desk) -> None:
    desk.show(kafka=KAFKA_GONE)
    desk.run(2)
    desk.show(lag=UNKNOWN)
    desk.cannot_see(Probe.OFFSETS, "lag", "stream")
    desk.run(40)
    assert desk.only().scenario is K
    assert desk.attached(desk.only()) == {L: True}
    desk.show(kafka=HEALTHY)
    desk.run(5)
    desk.blind = ()
    desk.show(lag=HEALTHY)
    desk.run(15)
    assert desk.only().state is IncidentState.RESOLVED


def test_what_stays_hidden_after_the_component_healed_is_blindness_of_its_own(desk: Desk) -> None:
    desk.show(kafka=KAFKA_GONE)
    desk.run(2)
    desk.show(lag=UNKNOWN)
    desk.cannot_see(Probe.OFFSETS, "lag")
    desk.run(40)
    desk.show(kafka=HEALTHY)
    desk.run(120)
    assert desk.of("kafka").state is IncidentState.RESOLVED
    assert (desk.of("lag").target, desk.of("lag").state) == (Component.MONITORING, IncidentState.DETECTED)


def test_a_component_found_broken_a_moment_later_takes_the_blindness_in(desk: Desk) -> None:
    desk.cannot_see(Probe.OFFSETS, "lag")
    desk.show(lag=UNKNOWN)
    desk.run(20)
    blind = desk.only()
    desk.show(kafka=KAFKA_GONE)
    desk.run(3)
    assert desk.store.incident(blind.id).merged_into == desk.of("kafka").id


def test_what_is_blind_for_two_reasons_keeps_the_observers_incident(desk: Desk) -> None:
    """MySQL hides its ledger, and not the logs: that incident would be merged and opened again, second by second."""
    desk.show(mysql=MYSQL_RIGHTS)
    desk.cannot_see(Probe.MYSQL_LEDGER, "producer", "lag")
    desk.cannot_see(Probe.LOGS, "producer")
    done = [d for d in desk.run(100) if not isinstance(d, Hold | Suppress)]
    assert [(d.kind, d.scenario, d.target) for d in done] == [
        ("open", M, Component.MYSQL),
        ("open", P, Component.MONITORING),
    ]


def test_a_suspect_that_the_observer_cannot_see_hides_nothing(desk: Desk) -> None:
    """What belongs to the observer's incident is not what is broken."""
    desk.show(stream=suspect(), lag=UNKNOWN)
    desk.cannot_see(Probe.LOGS, "kafka", "stream")
    desk.cannot_see(Probe.PROCESSOR, "lag")
    desk.run(30)
    assert desk.only().target is Component.MONITORING
    assert {d.reason for d in desk.decisions if d.kind == "adopt"} == {Reason.SAME_BLINDNESS}


def test_a_mere_warning_does_not_explain_blindness(desk: Desk) -> None:
    """Else what is cleared at its deadline would be attached again, for as long as the warning lasts."""
    desk.show(kafka=record(C.DISK_FULL, Y.KAFKA_REFUSES))
    desk.harm = Harm(70.0, (), 0.0, "Rows are old.")  # makes a page of the record
    desk.run(5)
    desk.show(lag=UNKNOWN)
    desk.run(200)
    assert desk.attached(desk.of("kafka")) == {}
    assert desk.of("lag").target is Component.MONITORING


def test_blindness_of_what_was_stopped_on_request_opens_nothing(desk: Desk) -> None:
    desk.show(kafka=record(C.STOPPED_ON_REQUEST), lag=UNKNOWN)
    desk.cannot_see(Probe.OFFSETS, "lag", "stream")
    desk.run(60)
    assert desk.opened() == []
    assert Reason.ROOT_ON_REQUEST in {d.reason for d in desk.store.decisions()}


def test_blindness_does_not_hide_a_fault(desk: Desk) -> None:
    desk.cannot_see(Probe.MYSQL_AUDIT, "mysql")
    desk.run(30)
    desk.show(mysql=MYSQL_RIGHTS)
    desk.run(2)
    assert {(i.scenario, i.target) for i in desk.opened()} == {(M, Component.MONITORING), (M, Component.MYSQL)}
    assert hands_over(desk, "mysql")


# --- What is hidden by a part that has not healed yet
RECOVERING = msgspec.structs.replace(KAFKA_GONE, state=State.RECOVERING)
STOPPED = record(C.STOPPED_ON_REQUEST)


def mysql_still_hides(desk: Desk, name: str, mysql: Verdict) -> None:
    """Kafka hides MySQL and what is behind it. Kafka heals, and MySQL, now seen, still hides the rest."""
    desk.show(kafka=KAFKA_GONE, mysql=UNKNOWN, **{name: UNKNOWN})
    desk.run(10)
    desk.show(kafka=HEALTHY, mysql=mysql)
    desk.run(70)  # the time that symptoms get is over


@pytest.mark.parametrize("mysql", [RECOVERING, STOPPED], ids=["recovering", "stopped on request"])
@pytest.mark.parametrize(
    ("name", "probes"), [("stream", ()), ("producer", (Probe.MYSQL_LEDGER,))], ids=["behind it", "looks at it"]
)
def test_a_view_stays_with_its_incident_as_long_as_a_part_of_it_hides_the_view(
    desk: Desk, mysql: Verdict, name: str, probes: tuple[Probe, ...]
) -> None:
    """Else it would be let go and taken in again, for ever."""
    for probe in probes:
        desk.cannot_see(probe, name)
    mysql_still_hides(desk, name, mysql)
    assert [d for d in desk.run(300) if not isinstance(d, Hold | Suppress)] == []
    assert desk.attached(desk.only()) == {M: True, NAMES[name]: True}
    assert desk.only().state is IncidentState.VERIFYING


def test_a_view_that_is_still_missing_when_nothing_hides_it_any_more_is_let_go_once(desk: Desk) -> None:
    mysql_still_hides(desk, "stream", RECOVERING)
    desk.show(mysql=HEALTHY)
    desk.run(50)
    assert desk.only().state is IncidentState.RESOLVED
    assert [(d.scenario, d.reason) for d in desk.decisions if d.kind == "clear_symptom"] == [
        (M, Reason.SYMPTOM_HEALTHY),
        (S, Reason.SYMPTOM_UNSEEN),
    ]
    desk.run(60)
    assert (desk.of("stream").target, desk.of("stream").state) == (Component.MONITORING, IncidentState.DETECTED)
    desk.show(stream=HEALTHY)
    desk.run(2)
    assert [i.state for i in desk.opened()] == [IncidentState.RESOLVED] * 2


def test_a_view_moves_to_the_other_incident_that_hides_it_now(desk: Desk) -> None:
    desk.show(kafka=KAFKA_GONE, mysql=MYSQL_RIGHTS, stream=UNKNOWN)
    desk.run(10)
    desk.show(kafka=HEALTHY)
    desk.run(90)
    assert desk.of("kafka").state is IncidentState.RESOLVED
    assert desk.attached(desk.of("mysql")) == {S: True}
