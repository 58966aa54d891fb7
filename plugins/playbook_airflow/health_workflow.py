"""The tasks of a health Dag, the same for every scenario: watch → healthy, or incident → hand over, or undecided."""

from __future__ import annotations

from contextlib import closing
from datetime import timedelta
from typing import Any

from airflow.sdk import task

from playbook_airflow.dag_defaults import dag_defaults
from playbook_airflow.hand_over import HandOverToRemediation
from playbook_airflow.health_sensor import HealthSensor
from playbook_airflow.tags import DagTag

BRANCHES = {
    "healthy": ["healthy"],
    "incident": ["open_or_join_incident", "hand_over_to_remediation"],
    "undecided": ["undecided"],
}
HEALTH_DAG: dict[str, Any] = {  # what the Dags of all scenarios have in common
    **dag_defaults(),
    "schedule": "@continuous",
    "max_active_runs": 1,
    "tags": [DagTag.HEALTH],
}
_STEP = {"execution_timeout": timedelta(seconds=60)}


def health_workflow(scenario: str) -> None:
    """Wire the tasks of one scenario into the Dag that is being defined."""

    @task(task_id="healthy", **_STEP)
    def healthy(event: dict[str, Any]) -> dict[str, Any]:
        """The window ended well: the figures."""
        from playbook_airflow.health_steps import healthy_figures

        return healthy_figures(event)

    @task(task_id="undecided", **_STEP)
    def undecided(event: dict[str, Any]) -> str:
        """The observer cannot see: nothing is done to the target."""
        from playbook_airflow.health_steps import why_undecided

        return why_undecided(event)

    @task(task_id="open_or_join_incident", **_STEP)
    def open_or_join_incident(event: dict[str, Any], run_id: str | None = None) -> dict[str, Any]:
        """Confirmed: the incident is on record, with what this run has seen."""
        from include.incidents.factory import store_from_settings
        from include.settings import get_settings
        from playbook_airflow.health_steps import open_or_join

        with closing(store_from_settings(get_settings())) as store:
            return open_or_join(event, str(run_id), store)

    watch = HealthSensor(task_id="watch", scenario=scenario, branches=BRANCHES, **_STEP)
    event: Any = watch.output
    healthy(event)
    undecided(event)
    open_or_join_incident(event)
    # beside it, not behind it: the watch has opened the incident already, and each task in a row costs a second
    watch >> HandOverToRemediation(task_id="hand_over_to_remediation", scenario=scenario, **_STEP)
