"""Remedies of the playbook for ``producer_silent``, triggered by its health Dag or by hand."""

from __future__ import annotations

from airflow.sdk import dag

from include.playbook.doc import remediation_doc
from include.playbook.names import ScenarioId
from playbook_airflow.remediation_workflow import REMEDIATION_DAG, remediation_form, remediation_workflow


@dag(
    dag_id="remediate_producer_silent",
    description="Brings the feed back: reconnect, restart, another endpoint",
    doc_md=remediation_doc(ScenarioId.PRODUCER_SILENT),
    params=remediation_form(ScenarioId.PRODUCER_SILENT),
    **REMEDIATION_DAG,
)
def remediate_producer_silent() -> None:
    remediation_workflow(ScenarioId.PRODUCER_SILENT)


remediate_producer_silent()
