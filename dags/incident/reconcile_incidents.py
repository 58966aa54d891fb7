"""Looks after what a death of a task, of a run or of Airflow has left undone."""

from __future__ import annotations

from datetime import timedelta

import pendulum
from airflow.sdk import dag

from playbook_airflow.incident_docs import RECONCILE_DOC
from playbook_airflow.reconcile_workflow import reconcile_workflow
from playbook_airflow.tags import DagTag


@dag(
    dag_id="reconcile_incidents",
    schedule="@continuous",
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
    default_args={"owner": "data-platform", "retries": 2, "retry_delay": timedelta(seconds=5)},
    tags=[DagTag.INCIDENT],
    description="Settles what a remediation that died has left behind, and has every ended incident reviewed",
    doc_md=RECONCILE_DOC,
)
def reconcile_incidents() -> None:
    reconcile_workflow()


reconcile_incidents()
