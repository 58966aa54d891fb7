"""The trigger that supervises a process from the triggerer: no worker slot, restarts within milliseconds."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

if TYPE_CHECKING:
    from include.services.process_supervisor import ProcessSupervisor
    from playbook_airflow.airflow_api import AirflowApi, TaskInstanceAnswer

_FAULT_PAUSE_SECONDS = 10.0  # a supervision that cannot even begin must not fail a run every three seconds


class RunEnd(StrEnum):
    """Why Airflow took the trigger away although the process host still has the process."""

    ENDED = "ended"  # run or task marked failed or success, or deleted
    CLEARED = "cleared"  # the task is to run anew
    MOVED = "moved"  # it still runs: another triggerer has it


class SuperviseTrigger(BaseTrigger):
    """Supervises ``service`` until its restart budget is exhausted, then fires one event with the message.

    ``cleanup`` never touches the process (it also runs when the triggerer ends); ``on_kill`` stops it when a person
    ended the run.
    """

    def __init__(self, *, service: str, dag_id: str, run_id: str, task_id: str, try_number: int) -> None:
        super().__init__()
        self.service, self.dag_id, self.run_id = service, dag_id, run_id
        self.supervising_task_id, self.try_number = task_id, try_number
        self._parts: tuple[ProcessSupervisor, AirflowApi] | None = None

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """See ``BaseTrigger``."""
        return "playbook_airflow.supervise_trigger.SuperviseTrigger", {
            "service": self.service,
            "dag_id": self.dag_id,
            "run_id": self.run_id,
            "task_id": self.supervising_task_id,
            "try_number": self.try_number,
        }

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Supervise; the only event is ``{"message": …}``, which fails the task."""
        try:
            supervisor, _ = await self._ready()
            await asyncio.to_thread(check_rights_of_host)
            message = (await supervisor.run()).message
        except Exception as error:  # whatever it is: the person must see it, and the next run must not hammer
            self.log.exception("Supervision of %s failed", self.service)
            await asyncio.sleep(_FAULT_PAUSE_SECONDS)
            message = f"{self.service} is not supervised: {type(error).__name__}: {error}"
        yield TriggerEvent({"message": message})

    async def on_kill(self) -> None:
        """Airflow took the trigger away: stop the process if that was the wish of a person."""
        supervisor, api = await self._ready()
        answer = await api.task_instance(self.dag_id, self.run_id, self.supervising_task_id)
        match run_end(answer, self.try_number):
            case RunEnd.ENDED:
                await supervisor.end_by_person()
            case RunEnd.CLEARED:
                await supervisor.clear_by_person()
            case RunEnd.MOVED:
                self.log.info("Another triggerer supervises %s now.", self.service)

    async def cleanup(self) -> None:
        """Let go of the connections, of nothing else."""
        if self._parts:
            supervisor, api = self._parts
            supervisor.news.close()
            await asyncio.to_thread(supervisor.leases.close)
            await api.close()

    async def _ready(self) -> tuple[ProcessSupervisor, AirflowApi]:
        if self._parts is None:
            self._parts = await asyncio.to_thread(self._build)
        return self._parts

    def _build(self) -> tuple[ProcessSupervisor, AirflowApi]:
        from include.services.factory import controller_from_settings
        from include.services.guardrail_leases import leases_from_settings
        from include.services.process_supervisor import ProcessSupervisor
        from include.services.process_table import processes_from_settings
        from include.services.supervision import RestartBudget
        from include.services.supervision_news import news_from_settings
        from include.services.supervision_store import SupervisionStore
        from include.settings import get_settings
        from playbook_airflow.airflow_api import AirflowApi, ApiDagSwitch

        settings = get_settings()
        controller = controller_from_settings(settings)
        api = AirflowApi.from_settings(settings)
        supervisor = ProcessSupervisor(
            self.service,
            controller,
            SupervisionStore(self.service, settings.run_dir),
            ApiDagSwitch(api, self.dag_id),
            RestartBudget.from_settings(settings),
            self.log,
            self.run_id,
            leases=leases_from_settings(settings),
            news=news_from_settings(settings, self.log.warning),
            processes=processes_from_settings(settings, controller, self.service),
        )
        return supervisor, api


def check_rights_of_host() -> None:
    """Raises ``ServicesError`` if the services cannot be controlled; a host that is away for now says nothing."""
    from include.services.errors import HostUnreachableError
    from include.services.factory import check_rights
    from include.settings import get_settings

    with contextlib.suppress(HostUnreachableError):
        check_rights(get_settings())


def run_end(answer: TaskInstanceAnswer, try_number: int) -> RunEnd:
    """What a vanished trigger means, by the state of its task instance.

    Without an answer it is taken for what it nearly always is, the act of a person on the run.
    """
    if not answer.known or not answer.exists:
        return RunEnd.ENDED
    if answer.state in ("failed", "success", "skipped", "upstream_failed", "removed"):
        return RunEnd.ENDED
    if answer.state == "deferred" and answer.try_number == try_number:
        return RunEnd.MOVED
    return RunEnd.CLEARED
