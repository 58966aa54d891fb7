"""When a running stack is at rest: every health Dag has found all well, and nothing is being mended."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any
from urllib.parse import quote

import psutil

from include.incidents.store import IncidentStore
from include.playbook.names import ScenarioId
from tests.support.pipeline import Pipeline

RESOLVE_SECONDS = 240.0
HEALTH_DAGS = tuple(f"health_{scenario}" for scenario in ScenarioId)


def calm(pipeline: Pipeline, store: IncidentStore) -> None:
    """All five Dags have seen that all is well, and whatever came before is over."""
    begin = psutil.Process(pipeline.pid("airflow-triggerer")).create_time()
    for dag_id in HEALTH_DAGS:
        pipeline.wait_for(lambda d=dag_id: watching(pipeline, d), 60, f"{dag_id} watches")
        pipeline.wait_for(lambda d=dag_id: _seen_well(pipeline, d, begin), 120, f"{dag_id} finds all well")
    pipeline.wait_for(lambda: not store.open_incidents(), RESOLVE_SECONDS, "no incident is open")
    pipeline.wait_for(lambda: not _at_work(pipeline), RESOLVE_SECONDS, "nothing is remedied or repaired", interval=1)


def _at_work(pipeline: Pipeline) -> list[str]:
    """Remediations that go on, and reviews whose draft (and repair of the data) does: these ask the exchange, too."""
    found = []
    for run in pipeline.airflow.get("/dags/~/dagRuns", state="running", limit=100)["dag_runs"]:
        dag_id, run_id = run["dag_id"], run["dag_run_id"]
        if dag_id == "post_incident_review":
            path = f"/dags/{dag_id}/dagRuns/{quote(run_id, safe='')}/taskInstances/draft_review"
            if pipeline.airflow.get(path)["state"] != "success":
                found.append(run_id)
        elif dag_id.startswith("remediate_"):
            found.append(run_id)
    return found


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
