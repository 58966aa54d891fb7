"""The task that supervises a process, and its link to the process log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator
from airflow.sdk.bases.operatorlink import BaseOperatorLink
from airflow.sdk.exceptions import AirflowFailException

if TYPE_CHECKING:
    from airflow.sdk import Context
    from airflow.sdk.types import TaskInstanceKey

PROCESS_LOG_PAGE = "/plugin/process_logs/pipeline/logs"


class ProcessLogLink(BaseOperatorLink):
    """Button to the log of the supervised process."""

    name = "Process log"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """See ``BaseOperatorLink``."""
        return f"{PROCESS_LOG_PAGE}/{operator.service}"


class SuperviseOperator(BaseOperator):
    """Keeps one process of the pipeline running, from the triggerer; ends only by failing.

    :param service: name of the process
    """

    template_fields = ("service",)
    operator_extra_links = (ProcessLogLink(),)
    ui_color = "#dbeafe"

    def __init__(self, *, service: str, **kwargs: Any) -> None:
        super().__init__(retries=0, **kwargs)  # restarting is the trigger's business; a failure is for people
        self.service = service

    def execute(self, context: Context) -> None:
        """Hand over to the trigger."""
        from playbook_airflow.supervise_trigger import SuperviseTrigger

        ti = context["ti"]
        self.defer(
            trigger=SuperviseTrigger(
                service=self.service,
                dag_id=ti.dag_id,
                run_id=ti.run_id,
                task_id=ti.task_id,
                try_number=ti.try_number,
            ),
            method_name="gave_up",
        )

    def gave_up(self, context: Context, event: dict[str, str]) -> None:
        """Fail with the trigger's message, which is also what a person finds at the end of the task's log."""
        self.log.error("%s", event["message"])
        raise AirflowFailException(event["message"])
