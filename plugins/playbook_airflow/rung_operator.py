"""The task of one rung: green when it was done, skipped when nothing was to be done, red when it could not be."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator
from airflow.sdk.bases.xcom import BaseXCom
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

if TYPE_CHECKING:
    from airflow.sdk import Context

    from include.remediation.model import Approval, RungReport


class RungOperator(BaseOperator):
    """Runs one rung of a scenario's ladder; its report is the task's result, also where the task ends skipped or red.

    :param scenario: id of the scenario
    :param rung: id of the rung
    :param approval_task: id of the task that asked a person; empty if nobody is to be asked
    """

    template_fields = ("scenario", "rung")
    ui_color = "#fde7c8"

    def __init__(self, *, scenario: str, rung: str, approval_task: str = "", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.scenario, self.rung, self.approval_task = scenario, rung, approval_task

    def execute(self, context: Context) -> None:
        """Run it, and end as its outcome says."""
        import msgspec

        from include.playbook.ladder import RungId
        from include.remediation.factory import remediation_from_settings
        from include.settings import get_settings
        from playbook_airflow.remediation_steps import current_request

        with closing(remediation_from_settings(get_settings())) as remediation:
            request = current_request(self.scenario, context, remediation.store)
            if request is None:
                raise AirflowFailException("There is no incident to work on: the task before has not opened any.")
            report = remediation.run(request, RungId(self.rung), self._approval(context))
        context["ti"].xcom_push(key=BaseXCom.XCOM_RETURN_KEY, value=msgspec.to_builtins(report))
        end_as(self, report)

    def _approval(self, context: Context) -> Approval | None:
        from playbook_airflow.approval import approval_of

        if not self.approval_task:
            return None
        return approval_of(context["ti"].xcom_pull(task_ids=self.approval_task))


def end_as(operator: BaseOperator, report: RungReport) -> None:
    """Log the report; raise what gives the task the colour of its outcome."""
    from include.remediation.model import RungOutcome

    line = f"{report.rung}: {report.outcome}. {report.text}"
    match report.outcome:
        case RungOutcome.DONE:
            operator.log.info("%s", line)
        case RungOutcome.NOT_NEEDED | RungOutcome.NOT_CHOSEN | RungOutcome.WOULD_DO:
            operator.log.info("%s", line)
            raise AirflowSkipException(line)
        case _:
            operator.log.error("%s", line)
            raise AirflowFailException(line)
