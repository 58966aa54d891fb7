"""Every fault on the real stack: the right scenario, cause and root, one incident, and how long it took.

The health Dags run in the real Airflow; the incident is read from the store that they write.
"""
# ruff: noqa: T201 - the measured delays are shown to people

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote

import psutil
import pytest

from include.incidents.factory import store_from_settings
from include.incidents.model import EntryKind, Incident, IncidentState
from include.incidents.store import IncidentStore
from include.playbook.names import Cause, Component, ScenarioId, Severity
from tests.support import live_faults
from tests.support.live_faults import Fault
from tests.support.pipeline import Pipeline

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

RESOLVE_SECONDS = 180.0
HEALTH_DAGS = tuple(f"health_{scenario}" for scenario in ScenarioId)


@dataclass(frozen=True)
class Case:
    """A fault, and the one incident that it must make. ``aim``: seconds, on a quiet machine; a busy one gets twice as
    many and two more. ``keep``: seconds that the fault lasts beyond the incident, in which a second one would show
    itself.
    """

    fault: Fault
    scenario: ScenarioId
    target: Component
    causes: tuple[Cause, ...]
    severity: Severity
    aim: float
    keep: float = 15.0

    @property
    def limit(self) -> float:
        return 2 * self.aim + 2

    def __str__(self) -> str:
        return self.fault.__name__


K, S, M, P, L = ScenarioId
SEV_1, SEV_2, SEV_3, SEV_4 = Severity
CASES = [
    Case(live_faults.kafka_killed, K, Component.KAFKA, (Cause.PROCESS_GONE,), SEV_1, 5),
    Case(live_faults.kafka_hung, K, Component.KAFKA, (Cause.PROCESS_HUNG,), SEV_1, 8),
    Case(live_faults.processor_killed, S, Component.PROCESSOR, (Cause.PROCESS_RESTARTED,), SEV_4, 2),
    Case(live_faults.batch_hung, S, Component.PROCESSOR, (Cause.BATCH_HUNG,), SEV_1, 30),
    Case(live_faults.mysql_killed, M, Component.MYSQL, (Cause.PROCESS_GONE,), SEV_2, 5),
    Case(live_faults.credentials_revoked, M, Component.MYSQL, (Cause.CREDENTIALS,), SEV_2, 5),
    Case(live_faults.column_dropped, M, Component.MYSQL, (Cause.SCHEMA_MISMATCH,), SEV_2, 5),
    Case(live_faults.disk_full, M, Component.MYSQL, (Cause.DISK_FULL,), SEV_2, 5),
    Case(live_faults.feed_silent, P, Component.PRODUCER, (Cause.FEED_SILENT,), SEV_3, 10),
    Case(live_faults.limited_then_banned, P, Component.PRODUCER, (Cause.BANNED, Cause.RATE_LIMITED), SEV_3, 10),
    Case(live_faults.producer_killed_unsupervised, P, Component.PRODUCER, (Cause.PROCESS_GONE,), SEV_2, 2),
    Case(live_faults.slow_writes, L, Component.LAG, (Cause.SLOW_MYSQL_WRITES,), SEV_2, 90, keep=5),
]


@pytest.fixture(scope="module")
def store(pipeline: Pipeline) -> Iterator[IncidentStore]:
    opened = store_from_settings(pipeline.settings)
    yield opened
    opened.close()


def calm(pipeline: Pipeline, store: IncidentStore) -> None:
    """All five Dags have seen that all is well, and whatever came before is over."""
    begin = psutil.Process(pipeline.pid("airflow-triggerer")).create_time()
    for dag_id in HEALTH_DAGS:
        pipeline.wait_for(lambda d=dag_id: watching(pipeline, d), 60, f"{dag_id} watches")
        pipeline.wait_for(lambda d=dag_id: _seen_well(pipeline, d, begin), 120, f"{dag_id} finds all well")
    pipeline.wait_for(lambda: not store.open_incidents(), RESOLVE_SECONDS, "no incident is open")


def watching(pipeline: Pipeline, dag_id: str) -> bool:
    """The trigger of its newest run is at work in a triggerer that lives."""
    runs = pipeline.airflow.get(f"/dags/{dag_id}/dagRuns", order_by="-run_after", limit=1)["dag_runs"]
    task = pipeline.airflow.get(f"/dags/{dag_id}/dagRuns/{runs[0]['dag_run_id']}/taskInstances/watch")
    job = task["triggerer_job"] or {}
    pid = pipeline.pid("airflow-triggerer")
    return bool(task["state"] == "deferred" and job.get("state") == "running" and _began(pid) <= _moment(job))


def _seen_well(pipeline: Pipeline, dag_id: str, begin: float) -> bool:
    """Its trigger has said so in its log since ``begin``."""
    logs = (pipeline.settings.home / "airflow" / "logs" / f"dag_id={dag_id}").rglob("*.trigger.*")
    new = [path.read_text() for path in logs if path.stat().st_mtime >= begin]
    return any(json.loads(line)["event"].startswith("healthy:") for text in new for line in text.splitlines())


def _began(pid: int | None) -> float:
    return psutil.Process(pid).create_time() - 1.0


def _moment(job: dict[str, Any]) -> float:
    return datetime.fromisoformat(job["start_date"]).timestamp()


def opened_since(store: IncidentStore, moment: float) -> list[Incident]:
    """Incidents that were opened (or reopened) after ``moment``, oldest first."""
    recent = [i for i in store.recent(50) if _latest_opening(store, i) >= moment - 0.05]
    return sorted(recent, key=lambda i: i.opened_at)


def _told(store: IncidentStore, begin: float, severity: Severity) -> Incident | None:
    """The first incident that is bad enough: a warning may have been on record before."""
    return next((i for i in opened_since(store, begin) if i.severity <= severity), None)


def _told_at(store: IncidentStore, incident: Incident, severity: Severity, begin: float) -> float:
    """When it was opened, or raised, to that severity."""
    for entry in store.timeline(incident.id):
        level = entry.data.get("change", {}).get("severity", (None, None))[1]
        if level is not None and level <= severity and entry.recorded_at.timestamp() >= begin - 0.05:
            return entry.recorded_at.timestamp()
    return _latest_opening(store, incident)


def _latest_opening(store: IncidentStore, incident: Incident) -> float:
    kinds = (EntryKind.OPENED, EntryKind.REOPENED)
    return max(e.recorded_at.timestamp() for e in store.timeline(incident.id) if e.kind in kinds)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_fault_makes_one_incident_of_the_right_kind(pipeline: Pipeline, store: IncidentStore, case: Case) -> None:
    pipeline.controller.restart("airflow-triggerer", 60)  # so many faults in a row would be flapping
    calm(pipeline, store)
    with case.fault(pipeline) as begin:
        first = pipeline.wait_for(lambda: _told(store, begin, case.severity), case.limit + 20, f"{case} is told")
        delay = _told_at(store, first, case.severity, begin) - begin
        kind = f"{first.id} {first.severity.label} {first.scenario} {first.cause}"
        print(f"\n{case}: {kind} after {delay:.2f} s (aim {case.aim:g})")
        time.sleep(case.keep)  # the fault goes on: what would open a second incident has its chance
    resolved = pipeline.wait_for(lambda: _closed(store, first), RESOLVE_SECONDS, f"{first.id} resolves")
    story = "\n".join(f"{e.recorded_at:%H:%M:%S.%f} {e.kind} {e.text}" for e in store.timeline(first.id))
    assert (first.scenario, first.target) == (case.scenario, case.target), story
    assert resolved.cause in case.causes, story
    assert first.severity <= case.severity, story  # harm to the rows may have raised it
    assert (first.severity is SEV_4) == (case.severity is SEV_4), story  # a record is no page
    assert delay <= case.limit, story
    # warnings are records: a job that catches up slowly may leave one about the lag
    others = [i for i in opened_since(store, begin) if i.id != first.id and i.severity is not SEV_4]
    assert others == [], f"{others}\n{story}"
    assert store.verify(first.id) == ()


def test_the_run_that_saw_it_tells_the_story_in_its_tasks(pipeline: Pipeline, store: IncidentStore) -> None:
    """Of the newest incident of Kafka: its health run joined it and handed it over, once."""
    incident = next(i for i in store.recent(50) if i.scenario is K and i.severity is SEV_1)
    run = store.hand_overs(incident.id)[0].health_run
    path = f"/dags/health_{K}/dagRuns/{quote(run, safe='')}"
    pipeline.wait_for(lambda: pipeline.airflow.get(path)["state"] == "success", 60, "the run ends well")
    tasks = {t["task_id"]: t["state"] for t in pipeline.airflow.get(f"{path}/taskInstances")["task_instances"]}
    assert tasks == {
        "watch": "success",
        "open_or_join_incident": "success",
        "hand_over_to_remediation": "success",
        "healthy": "skipped",
        "undecided": "skipped",
    }
    entries = store.timeline(incident.id)
    findings = [e for e in entries if e.kind is EntryKind.OBSERVED and e.data.get("health_run") == run]
    assert len(findings) == 1
    assert len([e for e in entries if e.kind is EntryKind.HANDED_OVER]) == 1


def test_watching_holds_no_worker_slot(pipeline: Pipeline) -> None:
    for dag_id in HEALTH_DAGS:
        pipeline.wait_for(lambda d=dag_id: watching(pipeline, d), 60, f"{dag_id} watches")
    pool = pipeline.wait_for(lambda: _resting_pool(pipeline), 60, "only deferred tasks are left")
    assert pool["deferred_slots"] >= len(HEALTH_DAGS)
    print(f"\npool: {pool['deferred_slots']} deferred, {pool['running_slots']} running")


def _resting_pool(pipeline: Pipeline) -> dict[str, int] | None:
    pool = pipeline.airflow.get("/pools/default_pool")
    return pool if pool["running_slots"] == pool["queued_slots"] == 0 else None


def test_a_quiet_window_ends_healthy_with_its_figures(pipeline: Pipeline) -> None:
    runs = f"/dags/health_{M}/dagRuns"
    begin = pipeline.airflow.get(runs, order_by="-run_after", limit=1)["dag_runs"][0]["dag_run_id"]

    def figures() -> dict[str, Any] | None:
        for run in pipeline.airflow.get(runs, order_by="-run_after", limit=5)["dag_runs"]:
            if run["dag_run_id"] >= begin and run["state"] == "success":
                path = f"{runs}/{quote(run['dag_run_id'], safe='')}/taskInstances/healthy"
                if pipeline.airflow.get(path)["state"] == "success":
                    return pipeline.airflow.get(f"{path}/xcomEntries/return_value", deserialize=True)["value"]
        return None

    seen = pipeline.wait_for(figures, 2 * pipeline.settings.health_window_seconds + 60, "a healthy end", interval=1)
    assert seen["state"] == "healthy"
    assert len(seen) > 3, seen


def _closed(store: IncidentStore, incident: Incident) -> Incident | None:
    now = store.incident(incident.id)
    return now if now.state in (IncidentState.RESOLVED, IncidentState.CLOSED) else None
