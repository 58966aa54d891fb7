"""What an incident store promises about symptoms, merges, hand-overs and decisions, asked of each kind."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from include.incidents.errors import (
    IllegalMoveError,
    InvalidEntryError,
    NotOpenError,
    UnknownIncidentError,
    UnknownSymptomError,
)
from include.incidents.model import (
    DecisionRecord,
    EntryKind,
    IncidentState,
)
from include.playbook.names import Component, ScenarioId
from tests.support.incident_stores import Backend, handed, kinds, new_incident, opened, symptom, told, walk

S = IncidentState
MYSQL = {"scenario": ScenarioId.MYSQL_NOT_WRITING, "target": Component.MYSQL}
LAG = (ScenarioId.KAFKA_LAG, Component.LAG)


def test_a_symptom_is_attached_cleared_and_attached_again(backend: Backend) -> None:
    incident, store = opened(backend), backend.store
    lag = symptom(incident, backend)
    assert store.attach(lag, backend.now())
    assert not store.attach(replace(lag, reason="again"), backend.now())
    assert store.symptoms(incident.id) == (lag,)

    backend.clock.advance(30)
    assert store.clear_symptom(incident.id, *LAG, reason="it drained", event_at=backend.now())
    assert not store.clear_symptom(incident.id, *LAG, reason="it drained", event_at=backend.now())
    assert store.symptoms(incident.id) == (replace(lag, cleared_at=backend.now()),)

    again = replace(lag, attached_at=backend.now(), reason="it grows again")
    assert store.attach(again, backend.now())
    assert store.symptoms(incident.id) == (again,)
    attached, cleared = EntryKind.SYMPTOM_ATTACHED, EntryKind.SYMPTOM_CLEARED
    assert kinds(backend, incident) == [EntryKind.OPENED, attached, cleared, attached]
    assert store.incident(incident.id).version == 1


def test_a_symptom_has_a_deadline_and_may_outlive_its_root(backend: Backend) -> None:
    incident, store = opened(backend), backend.store
    lag = symptom(incident, backend)
    store.attach(lag, backend.now())
    wanted = {"deadline_at": backend.now() + timedelta(minutes=2), "residual": True}
    for _ in range(2):
        changed = store.set_symptom(incident.id, *LAG, **wanted, reason="overdue", event_at=backend.now())
        assert changed == replace(lag, **wanted)
        assert store.symptoms(incident.id) == (changed,)
    assert kinds(backend, incident)[1:] == [EntryKind.SYMPTOM_ATTACHED, EntryKind.DECIDED]
    assert (
        store.set_symptom(incident.id, *LAG, deadline_at=None, residual=False, reason="", event_at=backend.now()) == lag
    )


def test_symptoms_that_cannot_be(backend: Backend) -> None:
    incident, store = opened(backend), backend.store
    with pytest.raises(UnknownSymptomError, match=r"kafka_lag of spark-group was never attached to INC-2026-0001"):
        store.clear_symptom(incident.id, *LAG, reason="", event_at=backend.now())
    with pytest.raises(UnknownSymptomError):
        store.set_symptom(incident.id, *LAG, deadline_at=None, residual=True, reason="", event_at=backend.now())
    resolved = walk(backend, incident, S.RESOLVED)
    with pytest.raises(NotOpenError, match="resolved"):
        store.attach(symptom(resolved, backend), backend.now())
    assert store.symptoms(incident.id) == ()


def test_a_symptom_that_was_an_incident_is_merged_into_its_root(backend: Backend) -> None:
    store = backend.store
    child = opened(backend, scenario=ScenarioId.STREAM_PROCESSOR_FAILURE, target=Component.PROCESSOR)
    lag, gone = symptom(child, backend), symptom(child, backend, scenario=ScenarioId.PRODUCER_SILENT)
    root_too = symptom(child, backend, scenario=ScenarioId.KAFKA_DOWN, target=Component.KAFKA)
    for each in (lag, gone, root_too):
        store.attach(each, backend.now())
    store.clear_symptom(child.id, gone.scenario, gone.target, reason="", event_at=backend.now())
    root = opened(backend)

    merged = store.merge(child.id, root.id, **told(backend, reason="the broker was down first"))
    assert (merged.state, merged.merged_into, merged.version) == (S.MERGED, root.id, child.version + 1)
    assert store.merge(child.id, root.id, **told(backend)) == merged == store.incident(child.id)
    assert store.open_incidents() == (root,)
    assert store.symptoms(root.id) == (replace(lag, incident_id=root.id),)
    assert kinds(backend, root) == [EntryKind.OPENED, EntryKind.MERGED, EntryKind.SYMPTOM_ATTACHED]
    assert store.timeline(root.id)[1].data["merged"] == child.id
    assert kinds(backend, child)[-1] is EntryKind.MERGED
    assert store.verify() == ()


def test_merges_that_cannot_be(backend: Backend) -> None:
    one, other = opened(backend), opened(backend, **MYSQL)
    with pytest.raises(IllegalMoveError, match="itself"):
        backend.store.merge(one.id, one.id, **told(backend))
    other = walk(backend, other, S.RESOLVED)
    with pytest.raises(NotOpenError, match="INC-2026-0002 is resolved"):
        backend.store.merge(one.id, other.id, **told(backend))
    with pytest.raises(IllegalMoveError, match="from resolved to merged"):
        backend.store.merge(other.id, one.id, **told(backend))
    with pytest.raises(UnknownIncidentError):
        backend.store.merge(one.id, "INC-2026-0009", **told(backend))
    assert [kinds(backend, each) for each in (one, other)] == [
        [EntryKind.OPENED],
        [EntryKind.OPENED, *["state_changed"] * 2],
    ]


def test_an_incident_is_handed_over_once_each_time_it_is_open(backend: Backend) -> None:
    incident, store = opened(backend), backend.store
    first = handed(backend, incident)
    assert store.hand_over(first) == (first, True)
    assert backend.another().hand_over(handed(backend, incident, "run 2")) == (first, False)
    other = replace(first, scenario=ScenarioId.KAFKA_LAG)
    assert store.hand_over(other) == (other, True)
    assert set(store.hand_overs(incident.id)) == {first, other}

    walk(backend, incident, S.RESOLVED)
    store.open(new_incident(backend))
    assert store.hand_overs(incident.id) == ()
    again = handed(backend, incident, "run 3")
    assert store.hand_over(again) == (replace(again, occurrence=1), True)
    assert store.hand_overs(incident.id) == (replace(again, occurrence=1),)
    assert len(store.hand_overs(incident.id, earlier=True)) == 3
    assert kinds(backend, incident).count(EntryKind.HANDED_OVER) == 3


def test_decisions_are_kept_newest_first(backend: Backend) -> None:
    store, start = backend.store, backend.now()
    incident = opened(backend)
    rows = [
        DecisionRecord(
            start + timedelta(seconds=second),
            ScenarioId.KAFKA_LAG,
            Component.LAG,
            "hold",
            f"reason {second}",
            incident.id if second % 2 else None,
            {"age": second / 2},
        )
        for second in range(4)
    ]
    for row in rows:
        store.record_decision(row)
    assert store.decisions() == tuple(reversed(rows))
    assert store.decisions(limit=1) == (rows[3],)
    assert store.decisions(since=rows[2].at) == (rows[3], rows[2])
    assert store.decisions(incident_id=incident.id) == (rows[3], rows[1])
    with pytest.raises(InvalidEntryError):
        store.record_decision(replace(rows[0], data={"secret": "x"}))
