"""Starts the review of an incident that is over, once for each of its returns."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from airflow.sdk.exceptions import AirflowSkipException

from include.remediation.run_names import REVIEW_DAG
from playbook_airflow.trigger_once import TriggerOnce

if TYPE_CHECKING:
    from airflow.sdk import Context


class StartReview(TriggerOnce):
    """Triggers ``post_incident_review`` for the incident of this run.

    :param scenario: id of the scenario
    """

    def __init__(self, *, scenario: str, **kwargs: object) -> None:
        super().__init__(trigger_dag_id=REVIEW_DAG, **kwargs)
        self.scenario = scenario

    def execute(self, context: Context) -> None:
        """Trigger it, if the incident is to be reviewed."""
        from include.incidents.factory import store_from_settings
        from include.remediation.reconcile import reviewable
        from include.remediation.run_names import review_run
        from include.settings import get_settings
        from playbook_airflow.remediation_steps import current_request

        with closing(store_from_settings(get_settings())) as store:
            request = current_request(self.scenario, context, store)
            if request is None or request.dry_run:
                raise AirflowSkipException("There is no incident, or this is a dry run.")
            incident = store.incident(request.incident_id)
        if not reviewable(incident):
            raise AirflowSkipException(f"{incident.id} ({incident.severity.label}, {incident.state}) needs no review.")
        self.trigger(context, review_run(incident), {"incident_id": incident.id})
