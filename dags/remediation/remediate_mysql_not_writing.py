"""Remedies of the playbook for ``mysql_not_writing``, triggered by its health Dag or by hand."""

from __future__ import annotations

from airflow.sdk import dag

from include.playbook.doc import remediation_doc
from include.playbook.names import ScenarioId
from playbook_airflow.remediation_workflow import REMEDIATION_DAG, remediation_form, remediation_workflow


@dag(
    dag_id="remediate_mysql_not_writing",
    description="Brings MySQL back: restart, credentials, schema",
    doc_md=remediation_doc(ScenarioId.MYSQL_NOT_WRITING),
    params=remediation_form(ScenarioId.MYSQL_NOT_WRITING),
    **REMEDIATION_DAG,
)
def remediate_mysql_not_writing() -> None:
    remediation_workflow(ScenarioId.MYSQL_NOT_WRITING)


remediate_mysql_not_writing()
