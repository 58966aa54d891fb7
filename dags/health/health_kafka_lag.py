"""Watch for the playbook's scenario ``kafka_lag``: the backlog of spark-group grows."""

from __future__ import annotations

from airflow.sdk import dag

from include.playbook.doc import dag_doc
from include.playbook.names import ScenarioId
from playbook_airflow.health_workflow import HEALTH_DAG, health_workflow


@dag(
    dag_id="health_kafka_lag",
    description="Watches the lag of spark-group",
    doc_md=dag_doc(ScenarioId.KAFKA_LAG),
    **HEALTH_DAG,
)
def health_kafka_lag() -> None:
    health_workflow(ScenarioId.KAFKA_LAG)


health_kafka_lag()
