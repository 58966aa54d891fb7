"""The guardrails in memory, for tests and simulations. They pass the same suite as the databases."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TypeVar

from include.guardrails.base import BaseGuardrails
from include.guardrails.book import GuardBook, RefusalKey
from include.guardrails.model import Action, ActionState, Lease, SwitchChange
from include.guardrails.settling import Alive
from include.incidents.base_store import BaseIncidentStore
from include.incidents.book import Book
from include.playbook.ladder import RungId
from include.playbook.names import Component
from include.runtime.clock import Clock

T = TypeVar("T")
RUNNING = ActionState.RUNNING


@dataclass
class _Rows:
    """The dictionaries keep the order of insertion."""

    actions: dict[int, Action] = field(default_factory=dict)
    refusals: set[RefusalKey] = field(default_factory=set)
    leases: dict[str, Lease] = field(default_factory=dict)
    changes: dict[str, SwitchChange] = field(default_factory=dict)

    def copy(self) -> _Rows:
        return _Rows(dict(self.actions), set(self.refusals), dict(self.leases), dict(self.changes))


class MemoryGuardBook:
    """See :class:`~include.guardrails.book.GuardBook`."""

    def __init__(self, incidents: Book, rows: _Rows) -> None:
        self._incidents, self._rows = incidents, rows

    @property
    def incidents(self) -> Book:
        """See the protocol."""
        return self._incidents

    def add(self, action: Action) -> Action | None:
        """See the protocol."""
        if any(each.target is action.target for each in self.running()):
            return None
        numbered = replace(action, id=len(self._rows.actions) + 1)
        self._rows.actions[numbered.id] = numbered
        return numbered

    def put(self, action: Action) -> None:
        """See the protocol."""
        self._rows.actions[action.id] = action

    def action(self, action_id: int) -> Action | None:
        """See the protocol."""
        return self._rows.actions.get(action_id)

    def running(self) -> tuple[Action, ...]:
        """See the protocol."""
        return tuple(each for each in self._rows.actions.values() if each.state is RUNNING)

    def actions(self, incident_id: str | None, since: datetime | None, limit: int) -> tuple[Action, ...]:
        """See the protocol."""
        found = [
            each
            for each in self._newest_first()
            if incident_id in (None, each.incident_id) and (since is None or each.started_at >= since)
        ]
        return tuple(found[:limit])

    def starts(self, rung: RungId, target: Component, after: datetime) -> tuple[datetime, ...]:
        """See the protocol."""
        return tuple(each.started_at for each in self._of(rung, target) if each.started_at > after)

    def ended(self, rung: RungId, target: Component, limit: int) -> tuple[Action, ...]:
        """See the protocol."""
        return tuple(each for each in self._of(rung, target) if each.state is not RUNNING)[:limit]

    def first_refusal(self, key: RefusalKey) -> bool:
        """See the protocol."""
        known = key in self._rows.refusals
        self._rows.refusals.add(key)
        return not known

    def leases(self) -> tuple[Lease, ...]:
        """See the protocol."""
        return tuple(sorted(self._rows.leases.values(), key=lambda lease: lease.service))

    def put_lease(self, lease: Lease) -> None:
        """See the protocol."""
        self._rows.leases[lease.service] = lease

    def drop_lease(self, service: str) -> None:
        """See the protocol."""
        self._rows.leases.pop(service, None)

    def drop_leases(self, action_id: int) -> None:
        """See the protocol."""
        kept = {service: lease for service, lease in self._rows.leases.items() if lease.action_id != action_id}
        self._rows.leases = kept

    def add_change(self, key: str, change: SwitchChange) -> bool:
        """See the protocol."""
        return self._rows.changes.setdefault(key, change) is change

    def has_change(self, key: str) -> bool:
        """See the protocol."""
        return key in self._rows.changes

    def changes(self, limit: int) -> tuple[SwitchChange, ...]:
        """See the protocol."""
        return tuple(list(reversed(self._rows.changes.values()))[:limit])

    def latest_changes(self) -> tuple[SwitchChange, ...]:
        """See the protocol."""
        latest = {change.scope: change for change in self._rows.changes.values()}
        return tuple(latest[scope] for scope in sorted(latest))

    def _newest_first(self) -> Iterable[Action]:
        return reversed(self._rows.actions.values())

    def _of(self, rung: RungId, target: Component) -> Iterable[Action]:
        return (each for each in self._newest_first() if each.rung is rung and each.target is target)


class MemoryGuardrails(BaseGuardrails):
    """See :class:`~include.guardrails.guardrails.Guardrails`. Safe between threads; gone with the process.

    ``store``: the incidents, whose timelines are written; its transaction is also this one's. ``alive``: see
    :func:`include.guardrails.holders.alive`.
    """

    def __init__(self, clock: Clock, store: BaseIncidentStore, alive: Alive | None = None) -> None:
        super().__init__(clock, alive)
        self._store = store
        self._rows = _Rows()
        self._lock = threading.Lock()

    def close(self) -> None:
        """See the protocol."""

    def _do(self, work: Callable[[GuardBook], T], *, write: bool) -> T:
        with self._lock:
            before = self._rows

            def begun_anew(incidents: Book) -> T:
                self._rows = before.copy()
                return work(MemoryGuardBook(incidents, self._rows))

            try:
                return self._store.within(begun_anew, write=write)
            except BaseException:
                self._rows = before
                raise
