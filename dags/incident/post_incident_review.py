"""The review of an incident that is over: drafted from the store, finished and approved by a person."""

from __future__ import annotations

from airflow.sdk import dag

from playbook_airflow.dag_defaults import dag_defaults
from playbook_airflow.incident_docs import REVIEW_DOC
from playbook_airflow.review_workflow import REVIEW_PARAMS, review_workflow
from playbook_airflow.tags import DagTag


@dag(
    dag_id="post_incident_review",
    schedule=None,
    max_active_runs=64,  # each waits for a person
    tags=[DagTag.INCIDENT],
    description="Drafts the review of an incident, and publishes it when a person has approved it",
    doc_md=REVIEW_DOC,
    params=REVIEW_PARAMS,
    **dag_defaults(),
)
def post_incident_review() -> None:
    review_workflow()


post_incident_review()
