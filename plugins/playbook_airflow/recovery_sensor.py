"""The first task of "recover": decides whether there is anything to wait for, waits, and takes the branch."""

from __future__ import annotations

import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk.bases.branch import BranchMixIn
from airflow.sdk.bases.sensor import BaseSensorOperator
from airflow.sdk.bases.xcom import BaseXCom

if TYPE_CHECKING:
    from airflow.sdk import Context

AFTER_CHANGE_SECONDS = 180.0  # the slowest root has 60 s for its symptoms, after up to 40 s of its own
UNTOUCHED_SECONDS = 20.0  # nothing was changed: perhaps it heals by itself, but nobody should wait for it
LONGEST_SECONDS = 900.0  # for a ban that ends at a known time
_TRIGGER_SECONDS = 60.0


class RecoverySensor(BaseSensorOperator, BranchMixIn):
    """Waits until the incident is over, as the watch sees it.

    :param scenario: id of the scenario
    :param rung_tasks: ids of the tasks whose reports decide how long it is worth waiting
    :param recovered: task ids of the branch that is taken then
    :param escalate: task ids of the other branch
    """

    inherits_from_skipmixin = True
    template_fields = ("scenario",)
    ui_color = "#d9f2e6"

    def __init__(
        self, *, scenario: str, rung_tasks: list[str], recovered: list[str], escalate: list[str], **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.scenario, self.rung_tasks = scenario, rung_tasks
        self.recovered, self.escalate = recovered, escalate

    def execute(self, context: Context) -> None:
        """Hand over to the trigger, for as long as the reports make it worth waiting."""
        from include.incidents.factory import store_from_settings
        from include.settings import get_settings
        from playbook_airflow.recovery_trigger import RecoveryTrigger
        from playbook_airflow.remediation_steps import current_request, reports_of

        with closing(store_from_settings(get_settings())) as store:
            request = current_request(self.scenario, context, store)
        if request is None or request.dry_run:
            return self._finish(context, {"message": "Nothing was changed, so there is nothing to wait for."}, [])
        seconds = patience(reports_of(context, self.rung_tasks), datetime.now(UTC))
        self.log.info("Waiting for up to %.0f s until the watch has resolved %s.", seconds, request.incident_id)
        return self.defer(
            trigger=RecoveryTrigger(incident_id=request.incident_id, until=time.time() + seconds),
            method_name="decide",
            timeout=timedelta(seconds=seconds + _TRIGGER_SECONDS),
        )

    def decide(self, context: Context, event: dict[str, Any]) -> None:
        """Take the branch."""
        self._finish(context, event, self.recovered if event["recovered"] else self.escalate)

    def _finish(self, context: Context, event: dict[str, Any], branch: list[str]) -> None:
        self.log.info("%s", event["message"])
        context["ti"].xcom_push(key=BaseXCom.XCOM_RETURN_KEY, value=event)  # branching raises: nothing is returned
        self.do_branch(context, branch)


def patience(reports: list[dict[str, Any]], now: datetime) -> float:
    """How many seconds it is worth waiting for the recovery, by what the rungs report."""
    from include.remediation.model import RungOutcome

    changed = any(report["outcome"] == RungOutcome.DONE and report.get("action_id") is not None for report in reports)
    if not changed and any(report["outcome"] == RungOutcome.BY_PEOPLE for report in reports):
        return 0.0
    untils = [report["facts"]["until"] for report in reports if report.get("facts", {}).get("until")]
    waits = [(datetime.fromisoformat(until) - now).total_seconds() + UNTOUCHED_SECONDS for until in untils]
    known = max((wait for wait in waits if wait > 0), default=0.0)
    return min(max(known, AFTER_CHANGE_SECONDS if changed else UNTOUCHED_SECONDS), LONGEST_SECONDS)
