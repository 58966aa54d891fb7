"""The last task of a health Dag's incident branch: has the remediation Dag run, once for each return of an incident."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

from playbook_airflow.trigger_once import TriggerOnce

if TYPE_CHECKING:
    from airflow.sdk import Context


class HandOverToRemediation(TriggerOnce):
    """Records the hand-over, then triggers ``remediate_<scenario>`` under a run id that is made from the incident: a
    task that is tried again, or another health run at the same second, finds the run that there is.

    :param scenario: id of the scenario
    :param watch_task: id of the task whose result is the event
    """

    ui_color = "#fde7c8"

    def __init__(self, *, scenario: str, watch_task: str = "watch", **kwargs: Any) -> None:
        super().__init__(trigger_dag_id=f"remediate_{scenario}", **kwargs)
        self.scenario, self.watch_task = scenario, watch_task

    def execute(self, context: Context) -> str | None:
        """Trigger, unless there is nothing to hand over."""
        from include.incidents.factory import store_from_settings
        from include.settings import get_settings
        from playbook_airflow.health_steps import hand_over

        event = context["ti"].xcom_pull(task_ids=self.watch_task)
        with closing(store_from_settings(get_settings())) as store:
            decided = hand_over(event, str(context["run_id"]), store)
        if decided.run_id is None:
            self.log.info("%s", decided.message)
            return decided.message
        self.log.warning("%s", decided.message)
        self.trigger(context, decided.run_id, decided.conf)
        return None
