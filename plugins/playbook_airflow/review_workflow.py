"""The tasks of the review: draft → a person reads and answers → publish, or once more with the comment."""

from __future__ import annotations

from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import Param, task
from airflow.sdk.exceptions import AirflowSkipException

from include.remediation.run_names import REVIEW_DAG
from playbook_airflow.trigger_once import TriggerOnce

if TYPE_CHECKING:
    from airflow.sdk import Context

APPROVE, SEND_BACK = "Approve", "Send back"
_STEP = {"execution_timeout": timedelta(minutes=5)}
_ANSWER_DAYS = 30

REVIEW_PARAMS = {
    "incident_id": Param(
        type="string",
        title="Incident",
        pattern=r"^INC-\d{4}-\d{4,}$",
        description="The incident that is over, for example INC-2026-0007.",
    ),
    "round": Param(
        1, type="integer", minimum=1, title="Round", description="How often it has been drafted before, and one."
    ),
}


def _form(values: dict[str, str]) -> dict[str, Param]:
    """What only a person knows; with what was written the last time."""

    def text(name: str, title: str, description: str) -> Param:
        kinds: Any = ["string", "null"]
        value = values.get(name) or ""
        return Param(value, type=kinds, format="multiline", title=title, description=description, source="task")

    return {
        "root_cause": text("root_cause", "Root cause", "What the evidence does not say. Facts, no blame, no guesses."),
        "preventive_actions": text(
            "preventive_actions", "Preventive actions", "One a line: what | owner | due as YYYY-MM-DD"
        ),
        "lessons": text("lessons", "Lessons", "What worked, what failed, where we were lucky."),
        "runbook_updates": text("runbook_updates", "Runbook updates", "What the playbook should say from now on."),
        "comment": text("comment", "Comment", "If you send it back: what is to be changed."),
    }


class ReadReview(HITLOperator):
    """Shows the draft and takes the answer."""

    template_fields = ()
    ui_color = "#f5d0fe"

    def __init__(self, **kwargs: Any) -> None:
        kwargs["params"] = _form({})  # the Dag's own, which Airflow adds, are not asked for again
        super().__init__(
            subject="Post-incident review",
            options=[APPROVE, SEND_BACK],
            response_timeout=timedelta(days=_ANSWER_DAYS),
            **kwargs,
        )

    def execute(self, context: Context) -> Any:
        """Show it."""
        draft = context["ti"].xcom_pull(task_ids="draft_review")
        self.subject, self.body = draft["subject"], draft["body"]
        for name, param in _form(draft["form"]).items():
            self.params[name] = param
        return super().execute(context)


def review_workflow() -> None:
    """Wire the tasks into the Dag that is being defined."""

    @task(task_id="draft_review", **_STEP)
    def draft_review(params: dict[str, Any] | None = None) -> dict[str, Any]:
        """The facts, with their evidence; what only a person knows is left open."""
        from include.settings import get_settings
        from playbook_airflow.review_steps import draft

        return draft((params or {})["incident_id"], get_settings())

    @task(task_id="conclude", **_STEP)
    def conclude(draft: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
        """Publish what was approved; keep the comment of what was sent back."""
        from include.settings import get_settings
        from playbook_airflow.review_steps import answer_review

        return answer_review(draft["review_id"], answer, get_settings())

    drafted: Any = draft_review()
    read = ReadReview(task_id="read_and_approve")
    concluded: Any = conclude(drafted, read.output)
    drafted >> read
    concluded >> DraftAgain(task_id="draft_again", **_STEP)


class DraftAgain(TriggerOnce):
    """Another round for a review that was sent back."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(trigger_dag_id=REVIEW_DAG, **kwargs)

    def execute(self, context: Context) -> None:
        """Trigger it, if there is to be one."""
        from include.incidents.factory import store_from_settings
        from include.remediation.run_names import review_run
        from include.settings import get_settings

        concluded = context["ti"].xcom_pull(task_ids="conclude")
        if not concluded["again"]:
            raise AirflowSkipException("It is approved and published.")
        number = int(context["params"]["round"]) + 1
        incident_id = context["params"]["incident_id"]
        with closing(store_from_settings(get_settings())) as store:
            run_id = review_run(store.incident(incident_id), number)
        self.trigger(context, run_id, {"incident_id": incident_id, "round": number})
