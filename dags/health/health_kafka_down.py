"""Watch for the playbook's scenario ``kafka_down``: the broker does not serve its clients."""

from __future__ import annotations

from airflow.sdk import dag

from include.playbook.doc import dag_doc
from include.playbook.names import ScenarioId
from playbook_airflow.health_workflow import HEALTH_DAG, health_workflow


@dag(
    dag_id="health_kafka_down",
    description="Watches whether Kafka serves its clients",
    doc_md=dag_doc(ScenarioId.KAFKA_DOWN),
    **HEALTH_DAG,
)
def health_kafka_down() -> None:
    health_workflow(ScenarioId.KAFKA_DOWN)


health_kafka_down()
