"""The first task of a health Dag: watches from the triggerer, then takes the branch that fits what was seen."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from airflow.sdk.bases.branch import BranchMixIn
from airflow.sdk.bases.sensor import BaseSensorOperator
from airflow.sdk.bases.xcom import BaseXCom

if TYPE_CHECKING:
    from airflow.sdk import Context

_TRIGGER_SECONDS = 180.0  # beyond the window: a trigger that never fires fails the run instead of hanging it


class HealthSensor(BaseSensorOperator, BranchMixIn):
    """Watches one scenario of the playbook for a bounded window, without holding a worker slot.

    :param scenario: id of the scenario
    :param window_seconds: length of the window; ``None`` takes the setting ``health_window_seconds``
    :param branches: task ids by outcome (:class:`~playbook_airflow.health_trigger.WatchOutcome`)
    """

    inherits_from_skipmixin = True
    template_fields = ("scenario",)
    ui_color = "#d9f2e6"

    def __init__(
        self, *, scenario: str, branches: dict[str, list[str]], window_seconds: float | None = None, **kwargs: Any
    ) -> None:
        super().__init__(retries=0, **kwargs)
        self.scenario, self.branches, self.window_seconds = scenario, branches, window_seconds

    def execute(self, context: Context) -> None:
        """Hand over to the trigger."""
        from include.settings import get_settings
        from playbook_airflow.health_trigger import DECIDE_SECONDS, HealthTrigger

        window = self.window_seconds or get_settings().health_window_seconds
        self.log.info("Watching %s for %g s.", self.scenario, window)
        self.defer(
            trigger=HealthTrigger(scenario=self.scenario, until=time.time() + window),
            method_name="decide",
            timeout=window + DECIDE_SECONDS + _TRIGGER_SECONDS,
        )

    def decide(self, context: Context, event: dict[str, Any]) -> None:
        """Take the branch of the outcome; the event is this task's result."""
        self.log.info("%s", event["message"])
        context["ti"].xcom_push(key=BaseXCom.XCOM_RETURN_KEY, value=event)  # branching raises: nothing is returned
        self.do_branch(context, self.branches[event["outcome"]])
