"""Watch for the playbook's scenario ``producer_silent``: the topic gets no new messages."""

from __future__ import annotations

from datetime import timedelta

import pendulum
from airflow.sdk import dag

from include.playbook.doc import dag_doc
from include.playbook.names import ScenarioId
from playbook_airflow.health_workflow import health_workflow
from playbook_airflow.tags import DagTag


@dag(
    dag_id="health_producer_silent",
    schedule="@continuous",
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
    default_args={"owner": "data-platform", "retries": 2, "retry_delay": timedelta(seconds=5)},
    tags=[DagTag.HEALTH],
    description="Watches whether trades reach the topic",
    doc_md=dag_doc(ScenarioId.PRODUCER_SILENT),
)
def health_producer_silent() -> None:
    health_workflow(ScenarioId.PRODUCER_SILENT)


health_producer_silent()
