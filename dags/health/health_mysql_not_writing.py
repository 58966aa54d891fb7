"""Watch for the playbook's scenario ``mysql_not_writing``: no new rows can be written."""

from __future__ import annotations

from airflow.sdk import dag

from include.playbook.doc import dag_doc
from include.playbook.names import ScenarioId
from playbook_airflow.health_workflow import HEALTH_DAG, health_workflow


@dag(
    dag_id="health_mysql_not_writing",
    description="Watches whether MySQL takes the averages",
    doc_md=dag_doc(ScenarioId.MYSQL_NOT_WRITING),
    **HEALTH_DAG,
)
def health_mysql_not_writing() -> None:
    health_workflow(ScenarioId.MYSQL_NOT_WRITING)


health_mysql_not_writing()
