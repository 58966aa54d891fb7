"""What stands around a supervision in tests: the Dag's switch, the log, and whoever runs it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from include.services.dag_switch import DagSwitch
from include.services.process_supervisor import ProcessSupervisor
from include.services.supervision_report import GaveUp, Pace

QUICK = Pace(report=0.2, look=0.02, ask_switch=0.05, retry_host=0.02, start=5, stop=2)


@dataclass
class Switch:
    """A Dag switch under the test's hand."""

    position: DagSwitch = DagSwitch.ON

    async def ask(self) -> DagSwitch:
        return self.position


@dataclass
class Lines:
    """A log under the test's eye."""

    lines: list[str] = field(default_factory=list)

    def info(self, message: str) -> None:
        self.lines.append(message)

    warning = info

    def __contains__(self, text: str) -> bool:
        return any(text in line for line in self.lines)

    def count(self, text: str) -> int:
        return sum(text in line for line in self.lines)


@contextlib.asynccontextmanager
async def supervised(supervisor: ProcessSupervisor) -> AsyncIterator[asyncio.Task[GaveUp]]:
    """Runs it in the background; the end is that of a triggerer: cancelled without a word."""
    task = asyncio.create_task(supervisor.run())
    try:
        yield task
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
