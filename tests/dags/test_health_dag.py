"""The Airflow side of detection without an Airflow database: the trigger, the sensor and the steps behind it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import DownstreamTasksSkipped, TaskDeferred

from include.health.verdicts import State, Verdict
from include.incidents.errors import UnknownIncidentError
from include.incidents.memory_store import MemoryIncidentStore
from include.incidents.model import EntryKind, Incident, NewIncident
from include.incidents.watch import Situation
from include.playbook.names import Cause, Component, ScenarioId, Severity
from include.runtime.clock import ManualClock
from playbook_airflow import health_trigger
from playbook_airflow.health_sensor import HealthSensor
from playbook_airflow.health_steps import hand_over, healthy_figures, open_or_join
from playbook_airflow.health_trigger import DECIDE_SECONDS, HealthTrigger, WatchOutcome, ended, event_of
from playbook_airflow.health_workflow import BRANCHES, health_workflow

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def verdict(state: State, **changes: Any) -> Verdict:
    facts: dict[str, Any] = {
        "scenario": ScenarioId.KAFKA_DOWN,
        "target": Component.KAFKA,
        "state": state,
        "cause": Cause.PROCESS_GONE if state is State.UNHEALTHY else Cause.NONE,
        "reason": "Nobody listens.",
        "since": NOW.timestamp(),
        "figures": {"brokers": 1},
    }
    return Verdict(**{**facts, **changes})


def new_incident() -> NewIncident:
    return NewIncident(
        scenario=ScenarioId.KAFKA_DOWN,
        target=Component.KAFKA,
        cause=Cause.PROCESS_GONE,
        severity=Severity.SEV_1,
        summary="Nobody listens.",
        onset_at=NOW,
        reported_by="watch",
        reason="direct evidence",
    )


def situation(state: State, incident: Incident | None = None, needs_hand_over: bool = False) -> Situation:
    return Situation(at=NOW, verdict=verdict(state), incident=incident, needs_hand_over=needs_hand_over)


@pytest.fixture
def store() -> MemoryIncidentStore:
    return MemoryIncidentStore()


class ScriptedWatch:
    """Hands out situations, a second apart."""

    def __init__(self, clock: ManualClock, *situations: Situation | Exception) -> None:
        self.clock, self.situations, self.closed = clock, situations, False

    async def follow(self, scenario: ScenarioId) -> AsyncIterator[Situation]:
        try:
            for item in self.situations:
                if isinstance(item, Exception):
                    raise item
                yield item
                self.clock.advance(1)
        finally:
            self.closed = True


async def the_event(monkeypatch: pytest.MonkeyPatch, window: float, *situations: Situation | Exception) -> Any:
    clock = ManualClock()
    watch = ScriptedWatch(clock, *situations)
    trigger = HealthTrigger(scenario="kafka_down", until=clock.time_ms() / 1000 + window)
    monkeypatch.setattr(trigger, "_parts", lambda: (watch, clock))
    monkeypatch.setattr(health_trigger, "_FAULT_PAUSE_SECONDS", 0)
    events = [event.payload async for event in trigger.run()]
    assert watch.closed
    assert len(events) == 1
    return events[0]


NO_INCIDENT, WAITS, HANDED_OVER = "no incident", "waits for its hand-over", "handed over"
HEALTHY, SUSPECT, UNHEALTHY, RECOVERING, UNKNOWN, FLAPPING = State


@pytest.mark.parametrize(
    ("state", "incident", "overtime", "outcome"),
    [
        (HEALTHY, NO_INCIDENT, -1, None),
        (HEALTHY, NO_INCIDENT, 0, WatchOutcome.HEALTHY),
        (UNHEALTHY, WAITS, -500, WatchOutcome.INCIDENT),  # at once
        (UNHEALTHY, HANDED_OVER, -1, None),  # handed over before: goes on watching
        (UNHEALTHY, HANDED_OVER, 0, WatchOutcome.INCIDENT),
        (FLAPPING, HANDED_OVER, 0, WatchOutcome.INCIDENT),
        (HEALTHY, HANDED_OVER, 0, None),  # about to resolve
        (HEALTHY, HANDED_OVER, DECIDE_SECONDS, WatchOutcome.INCIDENT),
        (SUSPECT, NO_INCIDENT, 0, None),  # may be confirmed in a moment
        (SUSPECT, NO_INCIDENT, DECIDE_SECONDS, WatchOutcome.UNDECIDED),
        (SUSPECT, HANDED_OVER, DECIDE_SECONDS, WatchOutcome.INCIDENT),  # a record
        (UNKNOWN, NO_INCIDENT, -1, None),
        (UNKNOWN, NO_INCIDENT, DECIDE_SECONDS, WatchOutcome.UNDECIDED),
        (UNKNOWN, WAITS, -1, None),  # after a restart of the triggerer: nothing is handed over unseen
        (HEALTHY, WAITS, -1, None),
    ],
)
def test_how_a_window_ends(
    store: MemoryIncidentStore,
    state: State,
    incident: str,
    overtime: float,
    outcome: WatchOutcome | None,
) -> None:
    opened = store.open(new_incident())[0] if incident != NO_INCIDENT else None
    assert ended(situation(state, opened, needs_hand_over=incident == WAITS), overtime) is outcome


async def test_a_healthy_window_ends_with_its_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    event = await the_event(monkeypatch, 3, *[situation(State.HEALTHY)] * 10)
    assert event["outcome"] == "healthy"
    assert healthy_figures(event) == {"state": "healthy", "reason": "Nobody listens.", "brokers": 1}


async def test_an_incident_ends_the_window_at_once(monkeypatch: pytest.MonkeyPatch, store: MemoryIncidentStore) -> None:
    incident = store.open(new_incident())[0]
    bad = situation(State.UNHEALTHY, incident, needs_hand_over=True)
    event = await the_event(monkeypatch, 600, situation(State.HEALTHY), bad, RuntimeError("asked too often"))
    assert (event["outcome"], event["incident_id"], event["needs_hand_over"]) == ("incident", incident.id, True)


async def test_a_watch_that_breaks_is_said_and_nothing_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    event = await the_event(monkeypatch, 600, RuntimeError("no such file"))
    assert event == {"outcome": "undecided", "message": "RuntimeError: no such file"}


def test_the_trigger_survives_a_move_to_another_triggerer() -> None:
    path, arguments = HealthTrigger(scenario="kafka_lag", until=12.5).serialize()
    assert path == f"{HealthTrigger.__module__}.HealthTrigger"
    assert HealthTrigger(**arguments).serialize() == (path, arguments)


def test_the_sensor_holds_no_worker_slot() -> None:
    sensor = HealthSensor(task_id="watch", scenario="kafka_down", branches=BRANCHES, window_seconds=5)
    with pytest.raises(TaskDeferred) as deferred:
        sensor.execute({})
    assert deferred.value.trigger.scenario == "kafka_down"
    assert deferred.value.timeout > 5 + DECIDE_SECONDS


@pytest.mark.parametrize("outcome", WatchOutcome)
def test_the_branch_of_the_outcome_is_taken_and_the_event_is_handed_on(outcome: WatchOutcome) -> None:
    """Branching raises, so what the task returns would be lost: the next tasks need it all the same."""
    with DAG("health_of_a_test") as dag:
        health_workflow("kafka_down")
    pushed: dict[str, Any] = {}
    instance = SimpleNamespace(
        task=dag.get_task("watch"), map_index=-1, xcom_push=lambda key, value: pushed.update({key: value})
    )
    event = {"outcome": outcome.value, "message": ""}
    with pytest.raises(DownstreamTasksSkipped) as skipped:
        dag.get_task("watch").decide({"ti": instance}, event)
    assert pushed["return_value"] == event
    left = {"open_or_join_incident", "hand_over_to_remediation", "healthy", "undecided"} - {
        task for task, _ in skipped.value.tasks
    }
    assert left == set(BRANCHES[outcome])


def an_event(store: MemoryIncidentStore, needs_hand_over: bool = True) -> dict[str, Any]:
    incident = store.open(new_incident())[0]
    return event_of(WatchOutcome.INCIDENT, situation(State.UNHEALTHY, incident, needs_hand_over))


def test_the_finding_is_in_the_timeline_once_however_often_the_task_is_tried(store: MemoryIncidentStore) -> None:
    event = an_event(store)
    results = [open_or_join(event, "run 1", store) for _ in range(3)]
    assert results[0] == results[2]
    assert results[0]["role"] == "root"
    observed = [e for e in store.timeline(event["incident_id"]) if e.kind is EntryKind.OBSERVED]
    assert [e.data["health_run"] for e in observed] == ["run 1"]


def test_an_incident_that_the_store_lost_is_said(store: MemoryIncidentStore) -> None:
    with pytest.raises(UnknownIncidentError):
        open_or_join(an_event(store), "run 1", MemoryIncidentStore())


def test_one_remediation_run_however_many_health_runs_hand_over(store: MemoryIncidentStore) -> None:
    event = an_event(store)
    first, second = (hand_over(event, run, store) for run in ("run 1", "run 2"))
    incident_id = event["incident_id"]
    assert first.run_id == second.run_id == f"{incident_id}__kafka_down__0"
    assert first.conf["incident_id"] == incident_id
    assert second.message.endswith("(recorded before)")
    assert [h.health_run for h in store.hand_overs(incident_id)] == ["run 1"]
    assert store.hand_overs(incident_id)[0].remediation == f"remediate_kafka_down/{first.run_id}"


@pytest.mark.parametrize("state", [State.UNKNOWN, State.HEALTHY, State.SUSPECT])
def test_what_is_not_bad_is_not_handed_over(store: MemoryIncidentStore, state: State) -> None:
    event = an_event(store)
    event["verdict"]["state"] = state.value
    decided = hand_over(event, "run 1", store)
    assert decided.run_id is None
    assert "needs no hand-over" in decided.message
    assert store.hand_overs(event["incident_id"]) == ()


def test_without_need_nothing_is_handed_over(store: MemoryIncidentStore) -> None:
    event = an_event(store, needs_hand_over=False)
    assert hand_over(event, "run 1", store).run_id is None
    assert store.hand_overs(event["incident_id"]) == ()


def test_a_symptom_joins_the_incident_of_its_root(store: MemoryIncidentStore) -> None:
    incident = store.open(new_incident())[0]
    seen = SimpleNamespace(
        verdict=verdict(State.UNHEALTHY, scenario=ScenarioId.PRODUCER_SILENT, target=Component.PRODUCER),
        incident=incident,
        needs_hand_over=False,
    )
    assert open_or_join(event_of(WatchOutcome.INCIDENT, seen), "run 1", store)["role"] == "symptom"
