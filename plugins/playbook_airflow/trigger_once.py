"""Triggering a run under a name that says what it is for: a task that is tried again finds the run that there is."""

from __future__ import annotations

from typing import Any

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator

ONCE: dict[str, Any] = {"skip_when_already_exists": True, "openlineage_inject_parent_info": False}


class TriggerOnce(TriggerDagRunOperator):
    """Base of operators that find out name and configuration when they are executed, and then call :meth:`trigger`."""

    template_fields = ()  # what is found out is never rendered as a template

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**ONCE, **kwargs)

    def trigger(self, context: Any, run_id: str, conf: dict[str, Any]) -> None:
        """Never returns: triggering raises."""
        self.trigger_run_id, self.conf = run_id, conf
        super().execute(context)
