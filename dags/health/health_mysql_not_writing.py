"""Watch for the playbook's scenario ``mysql_not_writing``: no new rows can be written."""

from __future__ import annotations

from datetime import timedelta

import pendulum
from airflow.sdk import dag

from include.playbook.doc import dag_doc
from include.playbook.names import ScenarioId
from playbook_airflow.health_workflow import health_workflow
from playbook_airflow.tags import DagTag


@dag(
    dag_id="health_mysql_not_writing",
    schedule="@continuous",
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
    default_args={"owner": "data-platform", "retries": 2, "retry_delay": timedelta(seconds=5)},
    tags=[DagTag.HEALTH],
    description="Watches whether MySQL takes the averages",
    doc_md=dag_doc(ScenarioId.MYSQL_NOT_WRITING),
)
def health_mysql_not_writing() -> None:
    health_workflow(ScenarioId.MYSQL_NOT_WRITING)


health_mysql_not_writing()
