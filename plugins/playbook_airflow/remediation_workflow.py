"""The tasks of a remediation Dag in the playbook's words: diagnose → mitigate → recover → document."""

from __future__ import annotations

import itertools
from datetime import timedelta
from typing import Any

from airflow.sdk import Param, TaskGroup, task
from airflow.sdk.bases.operator import BaseOperator

from playbook_airflow.approval import AskBeforeRung
from playbook_airflow.dag_defaults import dag_defaults
from playbook_airflow.recovery_sensor import RecoverySensor
from playbook_airflow.remediation_form import remediation_params
from playbook_airflow.review_start import StartReview
from playbook_airflow.rung_operator import RungOperator
from playbook_airflow.tags import DagTag

REMEDIATION_DAG: dict[str, Any] = {  # what the Dags of all scenarios have in common
    # a task whose process is killed is tried again: what a rung has begun is settled by the next try, or the next rung
    **dag_defaults(retry_seconds=2),
    "schedule": None,
    "max_active_runs": 4,  # one that waits for a person must not hold up the next incident
    "tags": [DagTag.REMEDIATION],
}
_STEP = {"execution_timeout": timedelta(seconds=60)}
_SLACK_SECONDS = 60.0  # beyond what a rung may take by the playbook


def remediation_form(scenario: str) -> dict[str, Param]:
    """The form of one scenario's Dag."""
    return remediation_params([rung.id.value for rung in _ladder(scenario)])


def remediation_workflow(scenario: str) -> None:
    """Wire the tasks of one scenario into the Dag that is being defined."""
    with TaskGroup("diagnose"):
        begin: Any = _diagnose(scenario)
    with TaskGroup("mitigate") as mitigate:
        rungs = _rungs(scenario, after_recovery=False)
    with TaskGroup("recover"):
        later, repair = _rungs(scenario, after_recovery=True), _repair(scenario)
        recovered = [later[0], repair] if later else [repair]
        wait = RecoverySensor(
            task_id="wait_until_healthy",
            scenario=scenario,
            rung_tasks=[rung.task_id for rung in rungs],
            recovered=[each.task_id for each in recovered],
            escalate=["document.escalate_to_people"],
            trigger_rule="all_done",  # whatever became of the rungs
            **_STEP,
        )
    with TaskGroup("document"):
        people: Any = _escalate(scenario, [rung.task_id for rung in rungs])
        review = StartReview(task_id="post_incident_review", scenario=scenario, **_STEP)
    begin >> mitigate >> wait >> [*recovered, people]
    if later:
        later[-1] >> repair  # whatever became of what is put back
    repair >> review


def _ladder(scenario: str) -> Any:
    from include.playbook.playbook import get_playbook

    return get_playbook().scenario(scenario).ladder


def _rungs(scenario: str, *, after_recovery: bool) -> list[BaseOperator]:
    """One task a rung, in a row, each with the task that asks a person before it if it is risky."""
    from include.playbook.ladder import Risk

    row: list[BaseOperator] = []
    found: list[BaseOperator] = []
    for rung in (each for each in _ladder(scenario) if each.after_recovery is after_recovery):
        ask = None
        if rung.risk is not Risk.SAFE:
            ask = AskBeforeRung(
                task_id=f"ask_before_{rung.id}", scenario=scenario, rung=rung.id.value, trigger_rule="all_done"
            )
            row.append(ask)
        seconds = rung.timeout_seconds + rung.verify_seconds + _SLACK_SECONDS
        operator = RungOperator(
            task_id=rung.id.value,
            scenario=scenario,
            rung=rung.id.value,
            approval_task=ask.task_id if ask else "",
            trigger_rule="all_done",  # the rung itself judges whether it is needed
            execution_timeout=timedelta(seconds=seconds),
        )
        row.append(operator)
        found.append(operator)
    for before, after in itertools.pairwise(row):
        before >> after
    return found


def _diagnose(scenario: str) -> Any:
    @task(task_id="collect_evidence", **_STEP)
    def collect_evidence(**context: Any) -> dict[str, Any]:
        """The incident is on record and the evidence collected, before anything is touched."""
        from include.settings import get_settings
        from playbook_airflow.remediation_steps import diagnose

        return diagnose(scenario, context, get_settings())  # type: ignore[arg-type]

    return collect_evidence()


def _repair(scenario: str) -> Any:
    @task(task_id="repair_data", trigger_rule="all_done", execution_timeout=timedelta(minutes=15))
    def repair_data(**context: Any) -> dict[str, Any]:
        """Gaps are fetched from the exchange, windows computed anew, and the tables compared with its ledger."""
        from include.settings import get_settings
        from playbook_airflow.remediation_steps import repair

        return repair(scenario, context, get_settings())  # type: ignore[arg-type]

    return repair_data().operator


def _escalate(scenario: str, tasks: list[str]) -> Any:
    @task(task_id="escalate_to_people", retries=0, **_STEP)
    def escalate_to_people(**context: Any) -> None:
        """Say to people what is wrong and what was done; the run ends red, because it is not mended."""
        from airflow.sdk.exceptions import AirflowFailException

        from include.settings import get_settings
        from playbook_airflow.remediation_steps import escalate

        waited = context["ti"].xcom_pull(task_ids="recover.wait_until_healthy") or {}
        why = str(waited.get("message") or "the run could not find out whether it helped.")
        raise AirflowFailException(escalate(scenario, context, get_settings(), tasks, why))  # type: ignore[arg-type]

    return escalate_to_people()
