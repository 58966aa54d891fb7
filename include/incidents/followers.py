"""Who follows which scenario, and how they are told that there is something new."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter

from include.playbook.names import ScenarioId


class Followers:
    """Moments are monotonic seconds. A scenario counts as followed for ``grace`` seconds after its last follower left,
    so that the moments between two runs of its Dag are not blind.
    """

    def __init__(self, grace: float) -> None:
        self._grace = grace
        self._present: Counter[ScenarioId] = Counter()
        self._left: dict[ScenarioId, float] = {}

    def join(self, scenario: ScenarioId) -> None:
        """One more."""
        self._present[scenario] += 1

    def leave(self, scenario: ScenarioId, now: float) -> None:
        """One less."""
        self._present[scenario] -= 1
        self._left[scenario] = now

    def followed(self, now: float) -> frozenset[ScenarioId]:
        """Scenarios that may open incidents."""
        return frozenset(s for s in ScenarioId if self._present[s] or now - self._left.get(s, -1e9) < self._grace)

    def alone_for(self, now: float) -> float:
        """Seconds since the last follower of any scenario left; 0 while there is one."""
        if any(self._present.values()):
            return 0.0
        return now - max(self._left.values(), default=now)


class News:
    """Wakes everybody who waits, each time there is something new."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def tell(self) -> None:
        """There is."""
        self._event.set()
        self._event = asyncio.Event()

    async def wait(self, timeout: float) -> None:
        """Until there is, or ``timeout`` seconds have passed."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._event.wait()
