"""The commands of the guardrails over any kind of transaction; memory and databases differ only in that."""

from __future__ import annotations

import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

from include.guardrails import commands, holders, leasing, switching
from include.guardrails.book import GuardBook
from include.guardrails.model import Action, ActionRequest, ActionState, Lease, Refused, Switch, SwitchChange
from include.guardrails.settling import Alive
from include.incidents.entry_data import utc
from include.runtime.clock import Clock

T = TypeVar("T")


class BaseGuardrails(ABC):
    """See :class:`~include.guardrails.guardrails.Guardrails`. The time is read when the transaction has the rows to
    itself, so that moments grow in the order of recording.
    """

    def __init__(self, clock: Clock, alive: Alive | None = None) -> None:
        self._clock = clock
        self._alive = alive or holders.alive

    @abstractmethod
    def _do(self, work: Callable[[GuardBook], T], *, write: bool) -> T:
        """Do the work in one transaction, whole or not at all. The work may be done again after a failed try."""

    @abstractmethod
    def close(self) -> None:
        """See the protocol."""

    # --- actions
    def check(self, request: ActionRequest) -> Refused | None:
        """See the protocol."""
        return self._read(lambda book: commands.check(book, request, self._now(), self._alive))

    def begin(self, request: ActionRequest) -> Action | Refused:
        """See the protocol."""
        return self._write(lambda book: commands.begin(book, request, self._now(), self._alive))

    def end(self, action_id: int, state: ActionState, text: str, data: Mapping[str, Any] | None = None) -> Action:
        """See the protocol."""
        return self._write(
            lambda book: commands.end(book, action_id, state, text=text, data=data or {}, now=self._now())
        )

    def actions(
        self, *, incident_id: str | None = None, since: datetime | None = None, limit: int = 100
    ) -> tuple[Action, ...]:
        """See the protocol."""
        return self._read(lambda book: book.actions(incident_id, since and utc(since), limit))

    def settle(self) -> tuple[Action, ...]:
        """See the protocol."""
        return self._write(lambda book: commands.settle_all(book, self._now(), self._alive))

    # --- switches
    def pause(self, scope: str, *, reason: str, by: str, until: datetime | None = None) -> Switch:
        """See the protocol."""
        key = uuid.uuid4().hex  # the same in every try: written once, whatever became of a failed one
        return self._write(
            lambda book: switching.pause(book, key, scope, reason=reason, by=by, until=until, now=self._now())
        )

    def resume(self, scope: str, *, by: str) -> bool:
        """See the protocol."""
        key = uuid.uuid4().hex
        return self._write(lambda book: switching.resume(book, key, scope, by=by, now=self._now()))

    def switches(self) -> tuple[Switch, ...]:
        """See the protocol."""
        return self._read(lambda book: switching.switched_off(book, self._now()))

    def switch_changes(self, limit: int = 100) -> tuple[SwitchChange, ...]:
        """See the protocol."""
        return self._read(lambda book: book.changes(limit))

    # --- leases
    def lease(self, service: str, *, holder: str, purpose: str, seconds: float) -> Lease | None:
        """See the protocol."""
        return self._write(
            lambda book: leasing.take(
                book, service, holder=holder, purpose=purpose, seconds=seconds, now=self._now(), alive=self._alive
            )
        )

    def give_back(self, service: str, holder: str) -> None:
        """See the protocol."""
        self._write(lambda book: leasing.give_back(book, service, holder))

    def leases(self) -> tuple[Lease, ...]:
        """See the protocol."""
        return self._read(lambda book: leasing.held(book, self._now()))

    # --- how
    def _write(self, work: Callable[[GuardBook], T]) -> T:
        return self._do(work, write=True)

    def _read(self, work: Callable[[GuardBook], T]) -> T:
        return self._do(work, write=False)

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock.time_ms() / 1000, UTC)
