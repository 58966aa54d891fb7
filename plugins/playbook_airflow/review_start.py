"""Starts the review of an incident that is over, once for each of its returns."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk.exceptions import AirflowSkipException

if TYPE_CHECKING:
    from airflow.sdk import Context

REVIEW_DAG = "post_incident_review"


class StartReview(TriggerDagRunOperator):
    """Triggers ``post_incident_review`` for the incident of this run.

    :param scenario: id of the scenario
    """

    template_fields = ()

    def __init__(self, *, scenario: str, **kwargs: object) -> None:
        super().__init__(
            trigger_dag_id=REVIEW_DAG, skip_when_already_exists=True, openlineage_inject_parent_info=False, **kwargs
        )
        self.scenario = scenario

    def execute(self, context: Context) -> None:
        """Trigger it, if the incident is to be reviewed."""
        from include.incidents.factory import store_from_settings
        from include.remediation.reconcile import review_run, reviewable
        from include.settings import get_settings
        from playbook_airflow.remediation_steps import current_request

        settings = get_settings()
        request = current_request(self.scenario, context, settings)
        if request is None or request.dry_run:
            raise AirflowSkipException("There is no incident, or this is a dry run.")
        with closing(store_from_settings(settings)) as store:
            incident = store.incident(request.incident_id)
        if not reviewable(incident):
            raise AirflowSkipException(f"{incident.id} ({incident.severity.label}, {incident.state}) needs no review.")
        self.trigger_run_id, self.conf = review_run(incident), {"incident_id": incident.id}
        super().execute(context)
