"""One service in one pair of hands: what supervision needs of the guardrails' leases.

A lease keeps supervision and remedies apart; it must never keep a process from running. So nothing here raises or
waits for long, and a store that is away is an answer like any other.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol, TypeVar

from include.guardrails.holders import alive
from include.runtime.clock import Clock

T = TypeVar("T")
_ANSWER_SECONDS = 0.5  # the store usually answers within some milliseconds; a restart waits no longer
_FIRST_ANSWER_SECONDS = 3.0  # it is being opened, which takes a second on a busy machine


class LeaseAnswer(StrEnum):
    """May the service be started now?"""

    TAKEN = "taken"  # it is ours until it is given back
    HELD = "held"  # somebody else is starting or stopping it
    UNKNOWN = "unknown"  # nobody could tell


@dataclass(frozen=True, slots=True)
class LeaseReply:
    """``holder``, ``purpose`` and ``until_ms`` (wall clock) are those of the other one's lease; ``why``: of UNKNOWN."""

    answer: LeaseAnswer
    holder: str = ""
    purpose: str = ""
    until_ms: int = 0
    why: str = ""


class StopOrigin(StrEnum):
    """Who asked the process host to stop a service."""

    REMEDY = "remedy"  # it is part of a remedy, which means to start it again
    PERSON = "person"  # no remedy is known that did it
    UNKNOWN = "unknown"  # nobody could tell


class ServiceLeases(Protocol):
    """Calls block, may come from any thread, and do not raise."""

    def open(self) -> None:
        """Connect, so that the first question is answered as quickly as the others."""
        ...

    def take(self, service: str, seconds: float) -> LeaseReply:
        """Have the service for at most so long."""
        ...

    def give_back(self, service: str) -> None:
        """It is free again; nothing happens if it was not ours."""
        ...

    def origin_of_stop(self, service: str, started_at: datetime | None, seen_at: datetime | None) -> StopOrigin:
        """Who stopped the process that began at ``started_at``. ``seen_at``: when its end was seen; ``None``: nobody
        looked then.
        """
        ...

    def close(self) -> None:
        """Give back all connections."""
        ...


class NoLeases:
    """Nobody else is there."""

    def open(self) -> None:
        """See :class:`ServiceLeases`."""

    def take(self, service: str, seconds: float) -> LeaseReply:
        """See :class:`ServiceLeases`."""
        return LeaseReply(LeaseAnswer.TAKEN)

    def give_back(self, service: str) -> None:
        """See :class:`ServiceLeases`."""

    def origin_of_stop(self, service: str, started_at: datetime | None, seen_at: datetime | None) -> StopOrigin:
        """See :class:`ServiceLeases`."""
        return StopOrigin.PERSON

    def close(self) -> None:
        """See :class:`ServiceLeases`."""


class ServiceLease:
    """The lease of one service as the supervision loop uses it: in threads, in order, and within half a second."""

    def __init__(self, name: str, leases: ServiceLeases, clock: Clock) -> None:
        self.name = name
        self._leases, self._clock = leases, clock
        self._held = LeaseReply(LeaseAnswer.UNKNOWN)  # the last one that somebody else had
        self._returning: asyncio.Future[None] | None = None
        self._patience = _FIRST_ANSWER_SECONDS

    async def open(self) -> None:
        """See :class:`ServiceLeases`; from then on nobody waits for long."""
        await asyncio.get_running_loop().run_in_executor(None, self._leases.open)
        self._patience = _ANSWER_SECONDS

    async def take(self, seconds: float) -> LeaseReply:
        """Ask for it. While the store is away, the last word on a lease counts until that lease ends by itself."""
        if self._returning is not None:  # else our earlier return, being late, would take this one away
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(self._returning), _ANSWER_SECONDS)
        unknown = LeaseReply(LeaseAnswer.UNKNOWN, why=f"no answer within {self._patience:g} s")
        reply = await self._ask(lambda: self._leases.take(self.name, seconds), unknown, self._too_late)
        if reply.answer is LeaseAnswer.UNKNOWN and self._still_held():
            return self._held
        self._held = reply
        return reply

    def give_back(self) -> None:
        """Nobody waits for it: the process runs already, or this task is being cancelled."""
        with contextlib.suppress(RuntimeError):  # the loop is being closed: the lease ends with this process
            self._returning = asyncio.get_running_loop().run_in_executor(None, self._leases.give_back, self.name)

    async def origin_of_stop(self, started_at: datetime | None, seen_at: datetime | None) -> StopOrigin:
        """See :class:`ServiceLeases`."""
        return await self._ask(
            lambda: self._leases.origin_of_stop(self.name, started_at, seen_at), StopOrigin.UNKNOWN, lambda _: None
        )

    def _still_held(self) -> bool:
        other = self._held
        return other.until_ms > self._clock.time_ms() and alive(other.holder) is not False

    def _too_late(self, reply: LeaseReply) -> None:
        if reply.answer is LeaseAnswer.TAKEN:
            self.give_back()

    async def _ask(self, question: Callable[[], T], otherwise: T, late: Callable[[T], None]) -> T:
        """The answer, or ``otherwise``; ``late`` gets one that comes afterwards."""
        asked = asyncio.get_running_loop().run_in_executor(None, question)
        try:
            return await asyncio.wait_for(asyncio.shield(asked), self._patience)
        except (TimeoutError, asyncio.CancelledError) as error:
            asked.add_done_callback(lambda done: None if done.cancelled() else late(done.result()))
            if isinstance(error, TimeoutError):
                return otherwise
            raise
