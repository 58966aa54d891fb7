"""Watch for the playbook's scenario ``stream_processor_failure``: the Spark job is gone, hangs or fails."""

from __future__ import annotations

from airflow.sdk import dag

from include.playbook.doc import dag_doc
from include.playbook.names import ScenarioId
from playbook_airflow.health_workflow import HEALTH_DAG, health_workflow


@dag(
    dag_id="health_stream_processor_failure",
    description="Watches the stream processor and its micro-batches",
    doc_md=dag_doc(ScenarioId.STREAM_PROCESSOR_FAILURE),
    **HEALTH_DAG,
)
def health_stream_processor_failure() -> None:
    health_workflow(ScenarioId.STREAM_PROCESSOR_FAILURE)


health_stream_processor_failure()
