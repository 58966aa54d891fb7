"""The tasks of the reconciler: look → settle what died, publish what was approved, start the runs that are missing."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import task
from airflow.sdk.bases.sensor import BaseSensorOperator

from playbook_airflow.trigger_once import ONCE

if TYPE_CHECKING:
    from airflow.sdk import Context

_STEP = {"execution_timeout": timedelta(minutes=2)}
WINDOW_SECONDS = 600.0
_TRIGGER_SECONDS = 60.0


class ReconcileSensor(BaseSensorOperator):
    """Waits for work without holding a worker slot; the work is its result."""

    def execute(self, context: Context) -> None:
        """Hand over to the trigger."""
        from playbook_airflow.reconcile_trigger import ReconcileTrigger

        self.defer(
            trigger=ReconcileTrigger(until=time.time() + WINDOW_SECONDS),
            method_name="found",
            timeout=timedelta(seconds=WINDOW_SECONDS + _TRIGGER_SECONDS),
        )

    def found(self, context: Context, event: dict[str, Any]) -> list[dict[str, Any]]:
        """The work."""
        self.log.info("%s", event["message"])
        return list(event["work"])


def reconcile_workflow() -> None:
    """Wire the tasks into the Dag that is being defined."""

    @task(task_id="settle", **_STEP)
    def settle(work: list[dict[str, Any]]) -> list[str]:
        """Actions whose process died are put on record, and the services they stopped are started."""
        from playbook_airflow.reconcile_steps import settle_and_escalate

        return settle_and_escalate(work)

    @task(task_id="publish_reviews", **_STEP)
    def publish_reviews(work: list[dict[str, Any]]) -> list[str]:
        """Reviews that were approved, and whose run died before their files were there."""
        from playbook_airflow import reconcile_steps

        return reconcile_steps.publish_reviews(work)

    @task(task_id="missing_runs", **_STEP)
    def missing_runs(work: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The runs that are to be started."""
        keys = {"trigger_dag_id": "dag_id", "trigger_run_id": "run_id", "conf": "conf"}
        starts = [each for each in work if each["kind"] in ("start", "again", "review")]
        return [{key: each[name] for key, name in keys.items()} for each in starts]

    work: Any = ReconcileSensor(task_id="look", **_STEP).output
    runs: Any = missing_runs(work)
    settled: Any = settle(work)
    publish_reviews(work)
    settled >> runs
    TriggerDagRunOperator.partial(task_id="start_runs", **ONCE, **_STEP).expand_kwargs(runs)
