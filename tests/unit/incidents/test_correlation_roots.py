"""One fault with all its symptoms is one incident, two faults are two: which root a symptom belongs to."""

from __future__ import annotations

import pytest

from include.health.verdicts import Hop, Stall
from include.incidents.decisions import Adopt, Merge, Open, Reason
from include.incidents.model import IncidentState
from include.playbook.names import Cause, ScenarioId, Severity, Symptom
from tests.support.correlating import HEALTHY, KAFKA_GONE, MYSQL_RIGHTS, Desk, bad, suspect

K, S, M, P, L = ScenarioId
C, Y = Cause, Symptom


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_kafka_down_with_everything_behind_it_is_one_incident(desk: Desk) -> None:
    desk.show(kafka=suspect())
    desk.run(2)
    desk.show(producer=bad(C.NETWORK, Y.KAFKA_TRANSPORT))
    desk.run(2)  # the symptom is confirmed before its root
    assert desk.opened() == []
    desk.show(kafka=bad(C.PROCESS_GONE, Y.KAFKA_TRANSPORT, began=4))
    desk.run(10)
    desk.show(
        stream=bad(C.KAFKA_CONNECTION, Y.KAFKA_TRANSPORT),
        mysql=bad(C.NO_PROGRESS, Y.STALE_ROWS, direct=False),
        lag=bad(C.CONSUMER_STOPPED, Y.LAG_GROWS, direct=False),
    )
    desk.run(30)
    incident = desk.only()
    assert (incident.scenario, incident.severity) == (K, Severity.SEV_1)
    assert desk.attached(incident) == {P: True, S: True, M: True, L: True}


def test_a_chain_of_symptoms_belongs_to_its_root(desk: Desk) -> None:
    """MySQL explains the job's error; the lag is explained by the job and would not be by MySQL's cause alone."""
    desk.show(mysql=bad(C.CREDENTIALS, Y.MYSQL_CREDENTIALS))
    desk.run(2)
    desk.show(stream=bad(C.WRITE_FAILURE, Y.MYSQL_CREDENTIALS))
    desk.run(2)
    desk.show(lag=bad(C.CONSUMER_STOPPED, Y.LAG_GROWS, direct=False))
    desk.run(2)
    assert desk.only().scenario is M
    assert desk.attached(desk.only()) == {S: True, L: True}


@pytest.mark.parametrize("first", ["kafka", "mysql", "both"])
def test_two_faults_stay_two(desk: Desk, first: str) -> None:
    """Kafka down does not explain that MySQL refuses the account (error 1045)."""
    faults = {"kafka": KAFKA_GONE, "mysql": MYSQL_RIGHTS}
    desk.show(**(faults if first == "both" else {first: faults[first]}))
    desk.run(20)
    desk.show(**{name: verdict for name, verdict in faults.items() if first not in (name, "both")})
    desk.run(90)
    assert {i.scenario for i in desk.opened()} == {K, M}
    assert all(i.state is IncidentState.DETECTED for i in desk.opened())
    if first != "mysql":
        assert [d.reason for d in desk.decisions if isinstance(d, Open) and d.scenario is M] == [Reason.NOT_EXPLAINED]


@pytest.mark.parametrize(
    ("symptom", "roots"),
    [
        (Y.KAFKA_TRANSPORT, {K}),
        (Y.MYSQL_CREDENTIALS, {K, S}),  # the job's own fault
        (Y.RATE_LIMITED, {K, S}),
    ],
)
def test_a_root_is_responsible_only_for_the_classes_it_explains(
    desk: Desk, symptom: Symptom, roots: set[object]
) -> None:
    desk.show(kafka=KAFKA_GONE)
    desk.run(5)
    desk.show(stream=bad(C.WRITE_FAILURE, symptom))
    desk.run(30)
    assert {i.scenario for i in desk.opened()} == roots


def test_a_wait_ends_when_the_suspected_root_turns_out_healthy(desk: Desk) -> None:
    desk.show(kafka=suspect(), producer=bad(C.NETWORK, Y.NO_NEW_MESSAGES, direct=False))
    desk.run(3)
    assert desk.opened() == []
    desk.show(kafka=HEALTHY)
    decided = desk.run(1)
    assert [d.reason for d in decided if isinstance(d, Open)] == [Reason.SUSPICION_LIFTED]


def test_a_wait_for_a_suspect_root_is_bounded(desk: Desk) -> None:
    desk.show(kafka=suspect(), producer=bad(C.NETWORK, Y.KAFKA_TRANSPORT))
    desk.run(10)
    assert desk.opened() == []
    desk.run(1)
    assert desk.only().scenario is P


def test_a_suspicion_without_a_cause_may_be_any_of_its_scenario(desk: Desk) -> None:
    """First bad samples of MySQL: its account may be refused, and then the job's error is explained."""
    desk.show(mysql=suspect(Y.MYSQL_CREDENTIALS), stream=bad(C.WRITE_FAILURE, Y.MYSQL_CREDENTIALS))
    decided = desk.run(2)
    assert {d.reason for d in decided} == {Reason.ROOT_SUSPECTED}
    desk.show(mysql=MYSQL_RIGHTS)
    desk.run(1)
    assert desk.attached(desk.only()) == {S: True}


def test_a_suspicion_that_would_explain_nothing_delays_nothing(desk: Desk) -> None:
    desk.show(kafka=suspect(), mysql=MYSQL_RIGHTS)
    desk.run(1)
    assert desk.only().scenario is M


@pytest.mark.parametrize(("late", "began", "ids"), [(50, 6, 1), (70, 6, 2), (70, 40, 2)])
def test_a_root_found_late_takes_its_symptom_in(desk: Desk, late: int, began: int, ids: int) -> None:
    desk.show(stream=bad(C.KAFKA_CONNECTION, Y.KAFKA_TRANSPORT))
    desk.run(late)
    child = desk.only()
    desk.show(kafka=bad(C.PROCESS_HUNG, Y.KAFKA_TRANSPORT, began=began))
    decided = desk.run(5)
    root, child = desk.of("kafka"), desk.store.incident(child.id)
    assert len(desk.views()) == ids
    if ids == 1:
        assert (child.state, child.merged_into) == (IncidentState.MERGED, root.id)
        assert desk.attached(root) == {S: True}
        assert [d.reason for d in decided if isinstance(d, Merge)] == [Reason.ROOT_FOUND_LATE]


def test_what_a_merged_child_had_attached_comes_along(desk: Desk) -> None:
    desk.show(stream=bad(C.KAFKA_CONNECTION, Y.KAFKA_TRANSPORT))
    desk.run(2)
    desk.show(lag=bad(C.CONSUMER_STOPPED, Y.LAG_GROWS, direct=False))
    desk.run(2)
    assert desk.attached(desk.only()) == {L: True}
    desk.show(kafka=KAFKA_GONE)
    desk.run(2)
    assert desk.attached(desk.of("kafka")) == {L: True, S: True}


def test_an_old_trouble_is_not_blamed_on_a_new_root(desk: Desk) -> None:
    """The producer had failed for two minutes when Kafka went down."""
    desk.show(producer=bad(C.NETWORK, Y.NO_NEW_MESSAGES))
    desk.run(120)
    desk.show(kafka=KAFKA_GONE)
    desk.run(20)
    assert {i.scenario for i in desk.opened() if i.open} == {P, K}


def test_a_symptom_that_was_there_long_before_is_not_attached(desk: Desk) -> None:
    """Nobody followed the producer's scenario, so it had no incident when Kafka went down."""
    desk.followed = frozenset({K})
    desk.show(producer=bad(C.NETWORK, Y.NO_NEW_MESSAGES))
    desk.run(60)
    desk.show(kafka=KAFKA_GONE)
    desk.run(20)
    assert desk.attached(desk.only()) == {}


def test_an_attached_scenario_with_a_fault_of_its_own_is_split_off(desk: Desk) -> None:
    desk.show(kafka=KAFKA_GONE, producer=bad(C.NETWORK, Y.KAFKA_TRANSPORT))
    desk.run(20)
    desk.show(producer=bad(C.BANNED, Y.RATE_LIMITED))
    desk.run(9)
    assert len(desk.opened()) == 1
    desk.run(3)
    assert {i.scenario for i in desk.opened()} == {K, P}
    assert desk.attached(desk.of("kafka")) == {P: False}


def test_of_two_inferred_roots_that_explain_each_other_the_first_stalled_hop_decides(desk: Desk) -> None:
    """MySQL shows no new rows, the job no progress: the position ledger says who is the first to stand still."""
    for hop, root, symptom in ((Hop.FINISHED, S, M), (Hop.COUNTED, M, S)):
        own = Desk()
        own.stall = Stall(hop, own.at, f"{hop} stands still.")
        own.show(
            stream=bad(C.NO_PROGRESS, Y.NO_PROGRESS, direct=False, began=20),
            mysql=bad(C.LOCKS, Y.STALE_ROWS, direct=False, began=20),
        )
        own.run(20)
        assert own.only().scenario is root
        assert own.attached(own.only()) == {symptom: True}


def test_direct_evidence_beats_the_first_stalled_hop(desk: Desk) -> None:
    desk.stall = Stall(Hop.FINISHED, desk.at, "Finished stands still.")
    desk.show(
        stream=bad(C.NO_PROGRESS, Y.NO_PROGRESS, direct=False, began=20),
        mysql=bad(C.LOCKS, Y.STALE_ROWS, direct=True, began=20),
    )
    desk.run(20)
    assert desk.only().scenario is M


def test_a_starved_host_is_one_incident_of_the_part_nearest_to_the_source(desk: Desk) -> None:
    disk = "2 % of the disk is free."
    desk.show(kafka=bad(C.DISK_FULL, Y.KAFKA_REFUSES, host=disk), mysql=bad(C.DISK_FULL, Y.MYSQL_DISK_FULL, host=disk))
    decided = desk.run(20)
    assert desk.only().scenario is K
    [adopted] = [d for d in decided if isinstance(d, Adopt) and d.reason is Reason.COMMON_CAUSE]
    assert disk in adopted.text


def test_a_starved_host_that_is_known_a_moment_later_is_one_incident_too(desk: Desk) -> None:
    """The errors come first; the host probe looks every ten seconds."""
    desk.show(mysql=bad(C.DISK_FULL, Y.MYSQL_DISK_FULL))
    desk.run(1)
    desk.show(kafka=bad(C.DISK_FULL, Y.KAFKA_TRANSPORT))
    desk.run(5)
    assert len(desk.views()) == 2
    desk.show(mysql=bad(C.DISK_FULL, Y.MYSQL_DISK_FULL, host="Nothing of the disk is free.", began=6))
    desk.run(5)
    [view] = desk.views()
    assert view.incident.scenario is K
    assert desk.of("mysql").merged_into == view.incident.id


@pytest.mark.parametrize(
    ("host", "apart"), [("", 0), ("2 % of the disk is free.", 40)], ids=["no word of the host", "not near in time"]
)
def test_two_full_disks_without_a_common_cause_stay_two(desk: Desk, host: str, apart: int) -> None:
    desk.show(kafka=bad(C.DISK_FULL, Y.KAFKA_REFUSES, host=host))
    desk.run(apart + 1)
    desk.show(mysql=bad(C.DISK_FULL, Y.MYSQL_DISK_FULL, host=host))
    desk.run(20)
    assert {i.scenario for i in desk.opened()} == {K, M}
