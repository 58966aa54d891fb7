"""What an incident store promises, told once and asked of each: memory, SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from include.incidents.errors import (
    IllegalMoveError,
    InvalidEntryError,
    NotOpenError,
    StaleVersionError,
    UnknownIncidentError,
)
from include.incidents.model import (
    EntryKind,
    Incident,
    IncidentState,
    OpenOutcome,
)
from include.incidents.store import IncidentStore
from include.playbook.names import Cause, Component, ScenarioId, Severity
from tests.support.incident_stores import (
    Backend,
    approve,
    handed,
    kinds,
    new_incident,
    note,
    opened,
    step,
    symptom,
    told,
    walk,
)

S = IncidentState
MYSQL = {"scenario": ScenarioId.MYSQL_NOT_WRITING, "target": Component.MYSQL}
LAG = (ScenarioId.KAFKA_LAG, Component.LAG)


def test_an_incident_is_opened_with_all_that_was_said_of_it(backend: Backend) -> None:
    new = new_incident(backend)
    incident, outcome = backend.store.open(new)

    assert outcome is OpenOutcome.OPENED
    assert incident == Incident(
        id="INC-2026-0001",
        scenario=ScenarioId.KAFKA_DOWN,
        target=Component.KAFKA,
        cause=Cause.PROCESS_GONE,
        severity=Severity.SEV_2,
        state=S.DETECTED,
        summary="The broker is gone.",
        reported_by="watch",
        onset_at=new.onset_at,
        opened_at=backend.now(),
        updated_at=backend.now(),
        version=1,
    )
    for store in (backend.store, backend.another()):
        assert store.incident(incident.id) == incident
        assert store.open_for(new.scenario, new.target) == incident
        assert store.open_incidents() == store.recent() == (incident,)
    (entry,) = backend.store.timeline(incident.id)
    assert (entry.kind, entry.actor, entry.text) == (EntryKind.OPENED, "watch", new.reason)
    assert (entry.event_at, entry.recorded_at) == (new.onset_at, backend.now())
    assert entry.data["evidence"] == [{"probe": "kafka_canary", "code": "timed_out"}]


def test_a_second_opener_joins_and_changes_nothing_but_the_timeline(backend: Backend) -> None:
    first = opened(backend)
    backend.clock.advance(5)
    second, outcome = backend.another().open(new_incident(backend, severity=Severity.SEV_1, cause=Cause.PORT_CONFLICT))

    assert outcome is OpenOutcome.JOINED
    assert second == replace(first, updated_at=backend.now())
    assert kinds(backend, first) == [EntryKind.OPENED, EntryKind.OBSERVED]


def test_other_targets_have_incidents_of_their_own(backend: Backend) -> None:
    kafka = opened(backend)
    backend.clock.advance(1)
    mysql = opened(backend, **MYSQL)
    assert (kafka.id, mysql.id) == ("INC-2026-0001", "INC-2026-0002")
    assert backend.store.open_incidents() == (kafka, mysql)
    assert backend.store.recent() == (mysql, kafka)
    assert backend.store.recent(1) == (mysql,)
    assert backend.store.open_for(ScenarioId.KAFKA_DOWN, Component.MYSQL) is None


def test_each_year_counts_anew(backend: Backend) -> None:
    backend.clock.advance((datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC) - backend.now()).total_seconds())
    assert opened(backend).id == "INC-2026-0001"
    backend.clock.advance(1)
    assert opened(backend, **MYSQL).id == "INC-2027-0001"
    assert backend.store.verify() == ()


@pytest.mark.parametrize(
    ("ended", "minutes", "outcome"),
    [
        (S.RESOLVED, 9.9, OpenOutcome.REOPENED),
        (S.RESOLVED, 10, OpenOutcome.OPENED),
        (S.IN_REVIEW, 9.9, OpenOutcome.REOPENED),
        (S.CLOSED, 0, OpenOutcome.OPENED),
        (S.FALSE_POSITIVE, 0, OpenOutcome.OPENED),
    ],
)
def test_what_comes_back_soon_is_the_same_incident(
    backend: Backend, ended: IncidentState, minutes: float, outcome: OpenOutcome
) -> None:
    first = walk(backend, opened(backend), ended)
    assert (first.resolved_at is not None) == (ended is not S.FALSE_POSITIVE)
    assert backend.store.open_for(first.scenario, first.target) is None
    assert backend.store.open_incidents() == ()
    backend.clock.advance(minutes * 60)

    second, how = backend.store.open(new_incident(backend))
    assert how is outcome
    assert (second.id == first.id) == (outcome is OpenOutcome.REOPENED)
    if outcome is OpenOutcome.REOPENED:
        assert (second.state, second.reopened, second.resolved_at) == (S.REOPENED, 1, None)
        assert second.version == first.version + 1
        assert (second.onset_at, second.opened_at) == (first.onset_at, first.opened_at)
        assert kinds(backend, second)[-1] is EntryKind.REOPENED
        assert backend.store.open_incidents() == (second,)


@pytest.mark.parametrize(
    ("cause", "severity", "left"),
    [
        (Cause.UNKNOWN, Severity.SEV_3, (Cause.PROCESS_GONE, Severity.SEV_2)),
        (Cause.DISK_FULL, Severity.SEV_1, (Cause.DISK_FULL, Severity.SEV_1)),
    ],
)
def test_a_reopened_incident_keeps_the_better_diagnosis_and_the_worse_severity(
    backend: Backend, cause: Cause, severity: Severity, left: tuple[Cause, Severity]
) -> None:
    walk(backend, opened(backend), S.RESOLVED)
    again, _ = backend.store.open(new_incident(backend, cause=cause, severity=severity, summary="It is back."))
    assert (again.cause, again.severity) == left
    assert again.summary == "It is back."


def test_a_person_may_reopen_unless_another_one_is_open(backend: Backend) -> None:
    first = walk(backend, opened(backend), S.RESOLVED)
    reopened = step(backend, first, S.REOPENED)
    assert (reopened.reopened, reopened.resolved_at) == (1, None)
    assert kinds(backend, first)[-1] is EntryKind.REOPENED

    first = walk(backend, reopened, S.RESOLVED)
    backend.clock.advance(3600)
    opened(backend)
    with pytest.raises(IllegalMoveError, match="another incident of kafka_down is open") as refusal:
        step(backend, first, S.REOPENED)
    assert S.REOPENED not in refusal.value.allowed
    assert backend.store.incident(first.id) == first


def test_the_whole_workflow_with_its_timeline(backend: Backend) -> None:
    incident = opened(backend)
    states = [S.ACKNOWLEDGED, S.MITIGATING, S.MITIGATED, S.VERIFYING, S.RESOLVED, S.IN_REVIEW, S.CLOSED]
    for version, state in enumerate(states, start=2):
        backend.clock.advance(1)
        if state is S.CLOSED:
            approve(backend, incident)
        happened = backend.now() - timedelta(milliseconds=500)
        incident = step(backend, incident, state, actor="ops", event_at=happened, data={"rung": version})
        assert (incident.state, incident.version, incident.updated_at) == (state, version, backend.now())
        assert backend.store.incident(incident.id) == incident
        entry = backend.store.timeline(incident.id)[-1]
        number = version + (state is S.CLOSED)  # the approval is a line, and no change
        assert (entry.kind, entry.actor, entry.number) == (EntryKind.STATE_CHANGED, "ops", number)
        assert (entry.event_at, entry.recorded_at, entry.data["rung"]) == (happened, backend.now(), version)
    assert incident.resolved_at == backend.now() - timedelta(seconds=2.5)
    assert backend.store.verify(incident.id) == ()


def test_an_illegal_move_says_what_is_allowed_and_writes_nothing(backend: Backend) -> None:
    incident = opened(backend)
    with pytest.raises(IllegalMoveError, match="Allowed from detected: acknowledged, verifying") as refusal:
        step(backend, incident, S.RESOLVED)
    assert refusal.value.allowed == (S.ACKNOWLEDGED, S.VERIFYING, S.FALSE_POSITIVE, S.MERGED)
    with pytest.raises(IllegalMoveError, match="names what it is merged into"):
        step(backend, incident, S.MERGED)
    resolved = walk(backend, incident, S.RESOLVED)
    with pytest.raises(IllegalMoveError, match=r"SEV-2.*Allowed from resolved: in_review, reopened"):
        step(backend, resolved, S.CLOSED)
    assert backend.store.incident(incident.id) == resolved
    assert len(backend.store.timeline(incident.id)) == 3


@pytest.mark.parametrize(
    ("severity", "read", "line", "closes"),
    [
        (Severity.SEV_1, True, {}, True),
        (Severity.SEV_2, True, {}, True),
        (Severity.SEV_1, False, {}, False),
        (Severity.SEV_2, False, {}, False),
        (Severity.SEV_2, True, {"step": "drafted"}, False),
        (Severity.SEV_2, True, {"step": "sent_back"}, False),
        (Severity.SEV_3, False, {}, True),
        (Severity.SEV_4, False, {}, True),
    ],
)
def test_the_grave_ones_close_only_when_their_review_is_approved(
    backend: Backend, severity: Severity, read: bool, line: dict[str, str], closes: bool
) -> None:
    incident = walk(backend, opened(backend, severity=severity), S.IN_REVIEW)
    if read:
        approve(backend, incident, **line)
    before = backend.store.timeline(incident.id)
    if closes:
        assert step(backend, incident, S.CLOSED).state is S.CLOSED
        return
    with pytest.raises(IllegalMoveError, match=r"SEV-\d\) cannot be closed: its review is not approved") as refusal:
        step(backend, incident, S.CLOSED)
    assert refusal.value.allowed == (S.REOPENED,)
    assert backend.store.incident(incident.id).state is S.IN_REVIEW
    assert backend.store.timeline(incident.id) == before


def test_what_was_approved_before_it_came_back_does_not_close_it(backend: Backend) -> None:
    incident = walk(backend, opened(backend), S.IN_REVIEW)
    approve(backend, incident)
    incident = walk(backend, step(backend, backend.store.incident(incident.id), S.REOPENED), S.IN_REVIEW)
    with pytest.raises(IllegalMoveError, match="its review is not approved"):
        step(backend, incident, S.CLOSED)
    approve(backend, incident)
    assert step(backend, backend.store.incident(incident.id), S.CLOSED).state is S.CLOSED


def test_an_approval_is_not_noted_by_hand(backend: Backend) -> None:
    incident = walk(backend, opened(backend), S.IN_REVIEW)
    with pytest.raises(InvalidEntryError, match="kind reviewed"):
        backend.store.append(incident.id, note(backend, kind=EntryKind.REVIEWED, data={"step": "approved"}))
    with pytest.raises(IllegalMoveError):
        step(backend, incident, S.CLOSED)


def test_who_read_an_older_version_must_read_again(backend: Backend) -> None:
    incident = opened(backend)
    newer = step(backend, incident, S.ACKNOWLEDGED)
    with pytest.raises(StaleVersionError, match="version 2, not 1"):
        step(backend, incident, S.VERIFYING)
    backend.store.append(incident.id, note(backend))  # a note is no change
    assert step(backend, newer, S.VERIFYING).version == 3


def test_severity_only_gets_worse(backend: Backend) -> None:
    incident = opened(backend, severity=Severity.SEV_3)
    for severity in (Severity.SEV_4, Severity.SEV_3):
        assert backend.store.raise_severity(incident.id, severity, **told(backend)) == incident
    worse = backend.store.raise_severity(incident.id, Severity.SEV_1, **told(backend))
    assert (worse.severity, worse.version) == (Severity.SEV_1, 2)
    assert kinds(backend, incident) == [EntryKind.OPENED, EntryKind.SEVERITY_RAISED]


def test_a_diagnosis_may_become_another(backend: Backend) -> None:
    incident = opened(backend)
    assert backend.store.set_cause(incident.id, Cause.PROCESS_GONE, **told(backend)) == incident
    other = backend.store.set_cause(incident.id, Cause.DISK_FULL, **told(backend))
    assert (other.cause, other.version) == (Cause.DISK_FULL, 2)
    assert kinds(backend, incident) == [EntryKind.OPENED, EntryKind.CAUSE_CHANGED]


def test_what_is_final_stays_as_it_is(backend: Backend) -> None:
    incident = walk(backend, opened(backend), S.FALSE_POSITIVE)
    with pytest.raises(NotOpenError, match="false_positive"):
        backend.store.raise_severity(incident.id, Severity.SEV_1, **told(backend))
    with pytest.raises(NotOpenError, match="false_positive"):
        backend.store.set_cause(incident.id, Cause.UNKNOWN, **told(backend))
    with pytest.raises(IllegalMoveError, match="nothing: this state is final"):
        step(backend, incident, S.ACKNOWLEDGED)
    backend.store.append(incident.id, note(backend))  # but may be talked about
    assert backend.store.incident(incident.id) == incident


def test_notes_are_numbered_and_keep_what_was_said(backend: Backend) -> None:
    incident = opened(backend)
    backend.clock.advance(1)
    east = datetime(2026, 11, 6, 22, 0, 0, 1, tzinfo=timezone(timedelta(hours=2)))
    said = {
        "figures": (1, 2.5, float("nan")),
        "at": east,
        "cause": Cause.DISK_FULL,
        "severity": Severity.SEV_1,
        "nothing": None,
        "nested": {"π": "\x00\ud800 „quoted“ 🔥"},
    }
    entry = backend.store.append(incident.id, note(backend, text="odd: \x00\ud800 🔥", event_at=east, data=said))

    assert backend.store.timeline(incident.id)[1] == entry
    assert (entry.number, entry.text, entry.event_at.isoformat()) == (
        2,
        "odd: \ufffd? 🔥",
        "2026-11-06T20:00:00.000001+00:00",
    )
    assert entry.data == {
        "figures": [1, 2.5, "nan"],
        "at": "2026-11-06T20:00:00.000001Z",
        "cause": "disk_full",
        "severity": 1,
        "nothing": None,
        "nested": {"π": "\x00\ud800 „quoted“ 🔥"},
    }
    changed = backend.store.incident(incident.id)
    assert changed == replace(incident, updated_at=backend.now())
    assert backend.store.verify() == ()


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"data": {"mysql_password": "x"}}, "mysql_password looks like the name of a secret"),
        ({"data": {"a": [{"apiKey": "x"}]}}, r"a\[0\]\.apiKey looks like the name of a secret"),
        ({"data": {"ok": 1, "Authorization": "x"}}, "Authorization looks"),
        ({"data": {"change": 1}}, "The store itself writes change"),
        ({"data": {1: 2}}, "Keys of an entry's data are text"),
        ({"data": {"x": {"y": object()}}}, r"x\.y is a object"),
        ({"kind": EntryKind.STATE_CHANGED}, "state_changed tells of a change"),
        ({"event_at": datetime(2026, 1, 1)}, "has no time zone"),  # noqa: DTZ001 - the mistake that is refused
    ],
)
def test_what_must_not_be_written_is_refused(backend: Backend, changes: dict[str, Any], says: str) -> None:
    incident = opened(backend)
    with pytest.raises(InvalidEntryError, match=says):
        backend.store.append(incident.id, note(backend, **changes))
    assert kinds(backend, incident) == [EntryKind.OPENED]


def test_a_refused_command_takes_nothing_with_it(backend: Backend) -> None:
    """Not even the number of an incident."""
    with pytest.raises(InvalidEntryError):
        backend.store.open(new_incident(backend, evidence=({"token": "x"},)))
    assert backend.store.recent() == ()
    assert opened(backend).id == "INC-2026-0001"
    assert backend.store.verify() == ()


ABSENT = "INC-2026-0042"
COMMANDS: list[Callable[[IncidentStore, Backend, Incident], object]] = [
    lambda store, _, it: store.incident(it.id),
    lambda store, _, it: store.timeline(it.id),
    lambda store, _, it: store.symptoms(it.id),
    lambda store, _, it: store.hand_overs(it.id),
    lambda store, _, it: store.verify(it.id),
    lambda _, backend, it: step(backend, it, S.ACKNOWLEDGED),
    lambda store, backend, it: store.raise_severity(it.id, Severity.SEV_1, **told(backend)),
    lambda store, backend, it: store.set_cause(it.id, Cause.UNKNOWN, **told(backend)),
    lambda store, backend, it: store.attach(symptom(it, backend), backend.now()),
    lambda store, backend, it: store.clear_symptom(it.id, *LAG, reason="", event_at=backend.now()),
    lambda store, backend, it: store.append(it.id, note(backend)),
    lambda store, backend, it: store.hand_over(handed(backend, it)),
]


@pytest.mark.parametrize("command", COMMANDS)
def test_an_unknown_incident_is_named(
    backend: Backend, command: Callable[[IncidentStore, Backend, Incident], object]
) -> None:
    incident = opened(backend)
    with pytest.raises(UnknownIncidentError, match=ABSENT):
        command(backend.store, backend, replace(incident, id=ABSENT))
