"""Remedies of the playbook for ``kafka_down``, triggered by its health Dag or by hand."""

from __future__ import annotations

from airflow.sdk import dag

from include.playbook.doc import remediation_doc
from include.playbook.names import ScenarioId
from playbook_airflow.remediation_workflow import REMEDIATION_DAG, remediation_form, remediation_workflow


@dag(
    dag_id="remediate_kafka_down",
    description="Brings Kafka back: restart, topics, producer and Spark",
    doc_md=remediation_doc(ScenarioId.KAFKA_DOWN),
    params=remediation_form(ScenarioId.KAFKA_DOWN),
    **REMEDIATION_DAG,
)
def remediate_kafka_down() -> None:
    remediation_workflow(ScenarioId.KAFKA_DOWN)


remediate_kafka_down()
