"""The task that asks a person before a risky rung; without need of a yes it asks nobody."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import Param
from airflow.sdk.exceptions import AirflowSkipException

if TYPE_CHECKING:
    from airflow.sdk import Context

    from include.remediation.model import Approval

ANSWER_SECONDS = 1800.0


class AskBeforeRung(ApprovalOperator):
    """Asks for a yes if the rung needs one now. No answer in time is a no, and a no skips nothing by itself: the rung
    sees the answer and says in its report that it was not approved.

    :param scenario: id of the scenario
    :param rung: id of the rung
    """

    ui_color = "#f5d0fe"

    def __init__(self, *, scenario: str, rung: str, **kwargs: Any) -> None:
        kwargs["params"] = {  # the Dag's own, which Airflow adds, are not asked for again
            "comment": Param("", type="string", title="Comment", description="Stands in the timeline.", source="task")
        }
        super().__init__(
            subject=f"May {rung.replace('_', ' ')} be done?",
            defaults=self.REJECT,
            response_timeout=timedelta(seconds=ANSWER_SECONDS),
            **kwargs,
        )
        self.scenario, self.rung = scenario, rung

    def execute(self, context: Context) -> Any:
        """Ask, or say why nobody is asked."""
        from include.playbook.ladder import RungId
        from include.remediation.factory import remediation_from_settings
        from include.remediation.model import Need
        from include.settings import get_settings
        from playbook_airflow.remediation_steps import current_request

        settings = get_settings()
        with closing(remediation_from_settings(settings)) as remediation:
            request = current_request(self.scenario, context, remediation.store)
            if request is None:
                raise AirflowSkipException("There is no incident to work on.")
            finding = remediation.asks(request, RungId(self.rung))
            if finding.need is not Need.NEEDED:
                raise AirflowSkipException(finding.text)
            others = [user for user in settings.airflow_users if user != request.requested_by]
            if finding.facts.get("destructive"):
                self.assigned_users = [{"id": user, "name": user} for user in others]
            remediation.asked(request, RungId(self.rung))
        self.subject = f"{request.incident_id}: may {self.rung.replace('_', ' ')} be done?"
        self.body = finding.text
        return super().execute(context)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """The answer is the task's result."""
        answer: Any = super(ApprovalOperator, self).execute_complete(context, event)
        self.log.info("%s by %s.", ", ".join(answer["chosen_options"]), answer["responded_by_user"] or "nobody in time")
        return answer


def approval_of(answer: Mapping[str, Any] | None) -> Approval | None:
    """The answer of :class:`AskBeforeRung`; ``None`` if nobody was asked."""
    from include.remediation.model import Approval

    if answer is None:
        return None
    user = answer.get("responded_by_user") or {}
    at = answer.get("responded_at")
    return Approval(
        approved=answer["chosen_options"] == [ApprovalOperator.APPROVE],
        by=str(user.get("id") or ""),
        at=datetime.fromisoformat(at) if isinstance(at, str) else at or datetime.now(UTC),
        comment=str((answer.get("params_input") or {}).get("comment") or ""),
    )
