"""Remedies of the playbook for ``stream_processor_failure``, triggered by its health Dag or by hand."""

from __future__ import annotations

from airflow.sdk import dag

from include.playbook.doc import remediation_doc
from include.playbook.names import ScenarioId
from playbook_airflow.remediation_workflow import REMEDIATION_DAG, remediation_form, remediation_workflow


@dag(
    dag_id="remediate_stream_processor_failure",
    description="Brings the Spark job back: restart, validations, poison rows, rebuild",
    doc_md=remediation_doc(ScenarioId.STREAM_PROCESSOR_FAILURE),
    params=remediation_form(ScenarioId.STREAM_PROCESSOR_FAILURE),
    **REMEDIATION_DAG,
)
def remediate_stream_processor_failure() -> None:
    remediation_workflow(ScenarioId.STREAM_PROCESSOR_FAILURE)


remediate_stream_processor_failure()
