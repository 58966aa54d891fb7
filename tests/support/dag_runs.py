"""Whole runs of a Dag in Airflow's own test run."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any


def run_of(dag: Any, **conf: Any) -> tuple[str, dict[str, str]]:
    """Its state, and those of its tasks."""
    run = dag.test(run_conf={"reason": "a test", **conf}, logical_date=datetime.now(UTC))
    return str(run.state), {ti.task_id: str(ti.state) for ti in run.get_task_instances()}
