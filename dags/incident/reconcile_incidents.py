"""Looks after what a death of a task, of a run or of Airflow has left undone."""

from __future__ import annotations

from airflow.sdk import dag

from playbook_airflow.dag_defaults import dag_defaults
from playbook_airflow.incident_docs import RECONCILE_DOC
from playbook_airflow.reconcile_workflow import reconcile_workflow
from playbook_airflow.tags import DagTag


@dag(
    dag_id="reconcile_incidents",
    schedule="@continuous",
    max_active_runs=1,
    tags=[DagTag.INCIDENT],
    description="Settles what a remediation that died has left behind, and has every ended incident reviewed",
    doc_md=RECONCILE_DOC,
    **dag_defaults(),
)
def reconcile_incidents() -> None:
    reconcile_workflow()


reconcile_incidents()
