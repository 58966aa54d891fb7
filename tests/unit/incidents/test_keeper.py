"""The keeper on a store: idempotent, tolerant of races, patient while the store is away."""

from __future__ import annotations

from typing import Any

import pytest

from include.health.observations import Probe
from include.health.verdicts import Evidence
from include.incidents.decisions import (
    Adopt,
    BeginVerifying,
    ClearSymptom,
    Decision,
    Hold,
    Open,
    Place,
    RaiseSeverity,
    Reason,
    Reopen,
    Resolve,
)
from include.incidents.errors import StoreUnavailableError
from include.incidents.keeper import IncidentKeeper, Outcome
from include.incidents.memory_store import MemoryIncidentStore
from include.incidents.model import EntryKind, IncidentState
from include.incidents.store import IncidentStore
from include.playbook.names import Cause, Component, ScenarioId, Severity, Symptom
from include.runtime.clock import ManualClock
from tests.support.incident_stores import Backend

K, S = ScenarioId.KAFKA_DOWN, ScenarioId.STREAM_PROCESSOR_FAILURE
AT = 1_700_000_000.0
SEEN = (Evidence(AT - 3, Probe.KAFKA_TCP, "refused", "Nobody listens."),)


@pytest.fixture
def clock(backend: Backend) -> ManualClock:
    """The store's."""
    backend.clock.advance(AT - backend.clock.time_ms() / 1000)
    return backend.clock


@pytest.fixture
def store(backend: Backend, clock: ManualClock) -> IncidentStore:
    """Each kind of store."""
    assert clock is backend.clock
    return backend.store


def opens(at: float = AT, severity: Severity = Severity.SEV_1) -> Open:
    return Open(
        at=at,
        scenario=K,
        target=Component.KAFKA,
        reason=Reason.DIRECT,
        text="Kafka itself was probed.",
        evidence=SEEN,
        cause=Cause.PROCESS_GONE,
        severity=severity,
        onset=at - 3,
        summary="Nobody listens on the broker's port.",
    )


def adopts(into: Place) -> Adopt:
    return Adopt(
        at=AT,
        scenario=S,
        target=Component.PROCESSOR,
        reason=Reason.EXPLAINED,
        text="Kafka is responsible.",
        evidence=SEEN,
        into=into,
        symptom=Symptom.KAFKA_TRANSPORT,
        onset=AT - 1,
    )


def holds(episode: float) -> Hold:
    return Hold(
        at=AT,
        scenario=S,
        target=Component.PROCESSOR,
        reason=Reason.WAITING_FOR_ROOT,
        text="It waits.",
        until=AT + 10,
        episode=episode,
    )


def outcomes(keeper: IncidentKeeper, *decisions: Decision) -> list[Outcome]:
    return [applied.outcome for applied in keeper.apply(decisions)]


def test_a_decision_carried_out_again_changes_nothing(store: IncidentStore, clock: ManualClock) -> None:
    keeper = IncidentKeeper(store, clock)
    story = (opens(), adopts(Place(K, Component.KAFKA)))
    assert outcomes(keeper, *story) == [Outcome.DONE, Outcome.DONE]
    [incident] = store.open_incidents()
    before = store.timeline(incident.id)
    assert outcomes(keeper, *story) == [Outcome.JOINED, Outcome.ALREADY]
    assert store.timeline(incident.id) == before
    assert [e.kind for e in before] == [EntryKind.OPENED, EntryKind.SYMPTOM_ATTACHED, EntryKind.OBSERVED]
    assert [(d.decision, d.reason, d.incident_id) for d in store.decisions()] == [
        ("adopt", Reason.EXPLAINED, incident.id),
        ("open", Reason.DIRECT, incident.id),
    ]


def test_two_watches_make_one_incident(store: IncidentStore, clock: ManualClock) -> None:
    one, other = IncidentKeeper(store, clock), IncidentKeeper(store, clock)
    assert outcomes(one, opens()) + outcomes(other, opens()) == [Outcome.DONE, Outcome.JOINED]
    assert len(store.open_incidents()) == 1


def test_waiting_is_recorded_once_an_episode(store: IncidentStore, clock: ManualClock) -> None:
    keeper = IncidentKeeper(store, clock)
    assert keeper.news([holds(1.0)]) == (holds(1.0),)
    assert outcomes(keeper, holds(1.0)) == [Outcome.DONE]
    assert keeper.news([holds(1.0)]) == ()
    assert outcomes(keeper, holds(1.0)) == [Outcome.SAID]
    assert outcomes(keeper, holds(2.0)) == [Outcome.DONE]
    assert len(store.decisions()) == 2


def test_a_move_that_was_decided_about_an_older_version_is_left(store: IncidentStore, clock: ManualClock) -> None:
    """Another watch has seen the fault come back between looking and writing."""
    keeper = IncidentKeeper(store, clock)
    keeper.apply([opens()])
    [view] = keeper.views()
    about = {"at": AT, "scenario": K, "target": Component.KAFKA, "text": "Over.", "incident_id": view.incident.id}
    resolve = Resolve(**about, reason=Reason.ALL_CLEAR, version=view.incident.version)  # type: ignore[arg-type]
    store.raise_severity(view.incident.id, Severity.SEV_1, actor="other", reason="", event_at=view.incident.onset_at)
    store.set_cause(view.incident.id, Cause.DISK_FULL, actor="other", reason="", event_at=view.incident.onset_at)
    assert outcomes(keeper, resolve) == [Outcome.LOST_RACE]
    assert store.incident(view.incident.id).state is IncidentState.DETECTED


def test_a_symptom_that_clears_in_the_same_moment_is_no_lost_race(store: IncidentStore, clock: ManualClock) -> None:
    keeper = IncidentKeeper(store, clock)
    keeper.apply([opens(), adopts(Place(K, Component.KAFKA))])
    [view] = keeper.views()
    about: dict[str, Any] = {"at": AT, "target": Component.PROCESSOR, "text": "…", "incident_id": view.incident.id}
    clear = ClearSymptom(**about, scenario=S, reason=Reason.SYMPTOM_HEALTHY)
    verify = BeginVerifying(**about, scenario=K, reason=Reason.ROOT_HEALTHY, version=view.incident.version)
    assert outcomes(keeper, clear, verify) == [Outcome.DONE, Outcome.DONE]
    assert store.incident(view.incident.id).state is IncidentState.VERIFYING


def test_what_is_over_stays_over(store: IncidentStore, clock: ManualClock) -> None:
    keeper = IncidentKeeper(store, clock)
    keeper.apply([opens()])
    [view] = keeper.views()
    about: dict[str, Any] = {"at": AT, "scenario": K, "target": Component.KAFKA, "text": "…"}
    about |= {"incident_id": view.incident.id, "version": view.incident.version}
    assert outcomes(keeper, Resolve(**about, reason=Reason.ALL_CLEAR)) == [Outcome.DONE]
    about["version"] += 3
    assert outcomes(keeper, Resolve(**about, reason=Reason.ALL_CLEAR)) == [Outcome.ALREADY]
    assert outcomes(keeper, Reopen(**about, reason=Reason.CAME_BACK)) == [Outcome.ALREADY]
    assert outcomes(keeper, adopts(Place(K, Component.KAFKA, view.incident.id))) == [Outcome.REFUSED]
    assert outcomes(keeper, adopts(Place(K, Component.KAFKA))) == [Outcome.REFUSED]


# --- While the store is away
class Broken(MemoryIncidentStore):
    """A store that can be taken away."""

    away = False

    def _do(self, work: Any, *, write: bool) -> Any:
        if self.away:
            raise StoreUnavailableError("the disk is full")
        return super()._do(work, write=write)


def test_what_could_not_be_written_is_written_later_with_its_own_time() -> None:
    """Also what is over by then and would not be decided again."""
    clock = ManualClock(int(AT * 1000))
    store = Broken(clock)
    keeper = IncidentKeeper(store, clock)
    store.away = True
    for second in range(60):
        worse = RaiseSeverity(
            at=AT + second,
            scenario=S,
            target=Component.PROCESSOR,
            reason=Reason.WORSE,
            text="Worse.",
            incident_id="INC-2023-0009",
            severity=Severity.SEV_1,
        )
        keeper.apply([opens(AT + second), holds(1.0), worse])
        clock.advance(1)
    assert keeper.trouble == "the disk is full"
    assert keeper.remembers == 3
    store.away = False
    keeper.apply([])
    assert (keeper.trouble, keeper.remembers) == (None, 0)
    [incident] = store.open_incidents()
    [entry] = store.timeline(incident.id)
    assert entry.event_at.timestamp() == AT - 3
    assert entry.recorded_at.timestamp() == AT + 60
    assert "60 s late: the incident store was not available" in entry.text
    assert {d.decision for d in store.decisions()} == {"open", "hold"}


def test_what_is_remembered_is_bounded() -> None:
    clock = ManualClock(int(AT * 1000))
    store = Broken(clock)
    keeper = IncidentKeeper(store, clock)
    store.away = True
    for number in range(500):
        about: dict[str, Any] = {"at": AT, "scenario": K, "target": Component.KAFKA, "text": "…"}
        keeper.apply(
            [RaiseSeverity(**about, reason=Reason.WORSE, incident_id=f"INC-2023-{number:04}", severity=Severity.SEV_1)]
        )
    assert keeper.remembers == 100


def test_one_refusal_keeps_back_no_other_decision(store: IncidentStore, clock: ManualClock) -> None:
    keeper = IncidentKeeper(store, clock)
    lost = adopts(Place(S, Component.PROCESSOR, "INC-2023-0042"))
    assert outcomes(keeper, lost, opens()) == [Outcome.REFUSED, Outcome.DONE]
