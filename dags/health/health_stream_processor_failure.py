"""Watch for the playbook's scenario ``stream_processor_failure``: the Spark job is gone, hangs or fails."""

from __future__ import annotations

from datetime import timedelta

import pendulum
from airflow.sdk import dag

from include.playbook.doc import dag_doc
from include.playbook.names import ScenarioId
from playbook_airflow.health_workflow import health_workflow
from playbook_airflow.tags import DagTag


@dag(
    dag_id="health_stream_processor_failure",
    schedule="@continuous",
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
    default_args={"owner": "data-platform", "retries": 2, "retry_delay": timedelta(seconds=5)},
    tags=[DagTag.HEALTH],
    description="Watches the stream processor and its micro-batches",
    doc_md=dag_doc(ScenarioId.STREAM_PROCESSOR_FAILURE),
)
def health_stream_processor_failure() -> None:
    health_workflow(ScenarioId.STREAM_PROCESSOR_FAILURE)


health_stream_processor_failure()
