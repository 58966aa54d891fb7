"""A supervised service with a remedy beside it: a process under the fake host, and guardrails in memory."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from include.guardrails.memory import MemoryGuardrails
from include.guardrails.model import Action, ActionRequest, ActionState, Limits
from include.incidents.errors import StoreUnavailableError
from include.incidents.memory_store import MemoryIncidentStore
from include.incidents.model import NewIncident
from include.playbook.ladder import RungId
from include.playbook.names import Cause, Component, ScenarioId, Severity
from include.runtime.clock import SystemClock
from include.services.fake import FakeServiceController
from include.services.guardrail_leases import GuardrailLeases
from include.services.process_supervisor import ProcessSupervisor
from include.services.supervision import RestartBudget
from include.services.supervision_report import Deed
from include.services.supervision_store import SupervisionStore
from tests.support.supervising import QUICK, Lines, Switch, supervised
from tests.support.waiting import until

BUDGET = RestartBudget(starts=30, window_seconds=60, cooldown_seconds=60)
REMEDY, US = "the remedy's process", "the triggerer"


@dataclass
class Hands:
    """Guardrails in memory, whose remedies may die, and whose store may be away."""

    clock: Any = field(default_factory=SystemClock)
    dead: set[str] = field(default_factory=set)
    away: bool = False

    def __post_init__(self) -> None:
        self.incidents = MemoryIncidentStore(self.clock)
        self.guardrails = MemoryGuardrails(self.clock, self.incidents, alive=lambda holder: holder not in self.dead)
        self.incident = self.incidents.open(_about_the_producer(self.now()))[0].id
        within = self.incidents.within

        def perhaps(work: Any, *, write: bool) -> Any:
            if self.away:
                raise StoreUnavailableError("the disk is gone")
            return within(work, write=write)

        self.incidents.within = perhaps  # type: ignore[method-assign]

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.clock.time_ms() / 1000, UTC)

    def leases(self, holder: str = US) -> GuardrailLeases:
        return GuardrailLeases(self.guardrails, self.clock, holder)

    def begin(self, service: str = "worker", seconds: float = 60) -> Action:
        """A remedy begins, with the service in its hands."""
        request = ActionRequest(
            *(self.incident, ScenarioId.PRODUCER_SILENT, RungId.RESTART_PRODUCER, Component.PRODUCER, "health"),
            *(f"run {time.monotonic_ns()}", REMEDY, Limits(0, 1000, 1000), seconds, (service,)),
        )
        action = self.guardrails.begin(request)
        assert isinstance(action, Action), action
        return action

    def end(self, action: Action, state: ActionState = ActionState.SUCCEEDED) -> None:
        self.guardrails.end(action.id, state, "done")


def _about_the_producer(now: datetime) -> NewIncident:
    scenario, target, cause = ScenarioId.PRODUCER_SILENT, Component.PRODUCER, Cause.PROCESS_GONE
    return NewIncident(scenario, target, cause, Severity.SEV_3, "It is gone.", now, "watch", "because")


@dataclass
class Told:
    """News of supervision."""

    deeds: list[Deed] = field(default_factory=list)

    def tell(self, service: str, deed: Deed, text: str, data: dict[str, Any]) -> None:
        self.deeds.append(deed)

    def close(self) -> None: ...


@dataclass
class Room:
    """One supervised service with a remedy beside it."""

    folder: Path
    controller: FakeServiceController
    hands: Hands = field(default_factory=Hands)
    log: Lines = field(default_factory=Lines)
    news: Told = field(default_factory=Told)
    budget: RestartBudget = BUDGET

    @property
    def store(self) -> SupervisionStore:
        return SupervisionStore("worker", self.folder)

    @property
    def pid(self) -> int | None:
        return self.controller.status("worker").pid

    @contextlib.asynccontextmanager
    async def supervised(self) -> AsyncIterator[ProcessSupervisor]:
        supervisor = ProcessSupervisor(
            *("worker", self.controller, self.store, Switch(), self.budget, self.log, "run 1"),
            pace=QUICK,
            leases=self.hands.leases(),
            news=self.news,
        )
        async with supervised(supervisor):
            yield supervisor

    async def running(self, other_than: int | None = None) -> int:
        await until(lambda: self.pid not in (None, other_than))
        assert self.pid
        return self.pid

    async def watched(self) -> int:
        """A process that supervision has seen."""
        pid = await self.running()
        await until(lambda: (known := self.store.load().process) and known.pid == pid)
        await until(lambda: not self.hands.guardrails.leases())
        return pid
