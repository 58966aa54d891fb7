"""Watch for the playbook's scenario ``producer_silent``: the topic gets no new messages."""

from __future__ import annotations

from airflow.sdk import dag

from include.playbook.doc import dag_doc
from include.playbook.names import ScenarioId
from playbook_airflow.health_workflow import HEALTH_DAG, health_workflow


@dag(
    dag_id="health_producer_silent",
    description="Watches whether trades reach the topic",
    doc_md=dag_doc(ScenarioId.PRODUCER_SILENT),
    **HEALTH_DAG,
)
def health_producer_silent() -> None:
    health_workflow(ScenarioId.PRODUCER_SILENT)


health_producer_silent()
