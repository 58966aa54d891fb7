"""Repair of the tables for any time range, by hand."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import dag, task

from playbook_airflow.dag_defaults import dag_defaults
from playbook_airflow.incident_docs import REPAIR_DOC
from playbook_airflow.repair_form import REPAIR_PARAMS
from playbook_airflow.tags import DagTag


@dag(
    dag_id="repair_data",
    schedule=None,
    max_active_runs=1,
    tags=[DagTag.INCIDENT, DagTag.PIPELINE],
    description="Finds trades that the tables lack, fetches them, recomputes, and proves the equality",
    doc_md=REPAIR_DOC,
    params=REPAIR_PARAMS,
    **dag_defaults(),
)
def repair_data() -> None:
    @task(task_id="find_gaps", execution_timeout=timedelta(minutes=10))
    def find_gaps(params: dict[str, Any] | None = None) -> dict[str, Any]:
        """What the exchange has and the tables lack."""
        from playbook_airflow.repair_form import find

        return find(params or {})

    @task(task_id="repair", execution_timeout=timedelta(minutes=60))
    def repair(params: dict[str, Any] | None = None, dag_run: Any = None) -> dict[str, Any]:
        """Fetch, publish, recompute, compare; red if the tables are not equal to the exchange's ledger."""
        from playbook_airflow.remediation_form import requested_by
        from playbook_airflow.repair_form import run

        return run(params or {}, requested_by(dag_run))

    find_gaps() >> repair()


repair_data()
