"""Remedies of the playbook for ``kafka_lag``, triggered by its health Dag or by hand."""

from __future__ import annotations

from airflow.sdk import dag

from include.playbook.doc import remediation_doc
from include.playbook.names import ScenarioId
from playbook_airflow.remediation_workflow import REMEDIATION_DAG, remediation_form, remediation_workflow


@dag(
    dag_id="remediate_kafka_lag",
    description="Gets the backlog read: longer micro-batches, restart, fewer trades for a time",
    doc_md=remediation_doc(ScenarioId.KAFKA_LAG),
    params=remediation_form(ScenarioId.KAFKA_LAG),
    **REMEDIATION_DAG,
)
def remediate_kafka_lag() -> None:
    remediation_workflow(ScenarioId.KAFKA_LAG)


remediate_kafka_lag()
