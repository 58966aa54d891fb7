"""Whether the supervising Dag is switched on, as far as anyone knows."""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol


class DagSwitch(StrEnum):
    """The switch beside the Dag's name in the Airflow UI."""

    ON = "on"
    PAUSED = "paused"
    UNKNOWN = "unknown"  # nobody answered: no reason to act on


class AsksDagSwitch(Protocol):
    """Something that can be asked about the switch."""

    async def ask(self) -> DagSwitch:
        """The switch now; ``UNKNOWN`` when there is no answer within about half a second. Never raises."""
        ...


class LastKnownSwitch:
    """Asks, and remembers the last answer for when there is none."""

    def __init__(self, source: AsksDagSwitch) -> None:
        self._source = source
        self.last = DagSwitch.UNKNOWN

    async def refresh(self) -> DagSwitch:
        """Ask now; the last known position when nobody answers."""
        answer = await self._source.ask()
        if answer is not DagSwitch.UNKNOWN:
            self.last = answer
        return self.last
