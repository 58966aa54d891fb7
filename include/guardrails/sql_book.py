"""One transaction on the tables; see :class:`include.guardrails.book.GuardBook`."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields, replace
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import Connection, RowMapping, Select, delete, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from include.guardrails.book import RefusalKey
from include.guardrails.model import Action, ActionState, Lease, SwitchChange
from include.guardrails.tables import ACTIONS, LEASES, REFUSALS, SWITCH_CHANGES
from include.incidents.book import Book
from include.incidents.entry_data import canonical
from include.incidents.errors import CorruptStoreError
from include.playbook.ladder import RungId
from include.playbook.names import Component, ScenarioId

T = TypeVar("T")
_RUNNING = ACTIONS.c.state == ActionState.RUNNING.value
# Columns that hold a word of ours; the others are taken as they are.
_WORDS: Mapping[str, Callable[[Any], Any]] = {
    "scenario": ScenarioId,
    "rung": RungId,
    "target": Component,
    "state": ActionState,
    "services": lambda text: tuple(json.loads(text)),
    "data": json.loads,
}


class SqlGuardBook:
    """See the protocol. Lives as long as the connection's transaction."""

    def __init__(self, incidents: Book, connection: Connection) -> None:
        self._incidents, self._connection = incidents, connection
        self._insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert

    @property
    def incidents(self) -> Book:
        """See the protocol."""
        return self._incidents

    def add(self, action: Action) -> Action | None:
        """See the protocol."""
        values = _columns(action)
        del values["id"]
        new = self._insert(ACTIONS).values(values).on_conflict_do_nothing().returning(ACTIONS.c.id)
        number = self._connection.execute(new).scalar()
        return None if number is None else replace(action, id=number)

    def put(self, action: Action) -> None:
        """See the protocol."""
        self._connection.execute(update(ACTIONS).where(ACTIONS.c.id == action.id).values(_columns(action)))

    def action(self, action_id: int) -> Action | None:
        """See the protocol."""
        return next(iter(self._actions(select(ACTIONS).where(ACTIONS.c.id == action_id))), None)

    def running(self) -> tuple[Action, ...]:
        """See the protocol."""
        return self._actions(select(ACTIONS).where(_RUNNING).order_by(ACTIONS.c.id))

    def actions(self, incident_id: str | None, since: datetime | None, limit: int) -> tuple[Action, ...]:
        """See the protocol."""
        wanted = select(ACTIONS).order_by(ACTIONS.c.id.desc()).limit(limit)
        if incident_id is not None:
            wanted = wanted.where(ACTIONS.c.incident_id == incident_id)
        if since is not None:
            wanted = wanted.where(ACTIONS.c.started_at >= since)
        return self._actions(wanted)

    def starts(self, rung: RungId, target: Component, after: datetime) -> tuple[datetime, ...]:
        """See the protocol."""
        columns = ACTIONS.c
        about = (columns.target == target.value, columns.rung == rung.value, columns.started_at > after)
        wanted = select(columns.started_at).where(*about).order_by(columns.id.desc())
        return tuple(self._connection.execute(wanted).scalars())

    def ended(self, rung: RungId, target: Component, limit: int) -> tuple[Action, ...]:
        """See the protocol."""
        about = (ACTIONS.c.target == target.value, ACTIONS.c.rung == rung.value, ~_RUNNING)
        return self._actions(select(ACTIONS).where(*about).order_by(ACTIONS.c.id.desc()).limit(limit))

    def first_refusal(self, key: RefusalKey) -> bool:
        """See the protocol."""
        new = self._insert(REFUSALS).values(asdict(key)).on_conflict_do_nothing().returning(REFUSALS.c.run)
        return self._connection.execute(new).first() is not None

    def leases(self) -> tuple[Lease, ...]:
        """See the protocol."""
        rows = self._connection.execute(select(LEASES).order_by(LEASES.c.service)).mappings()
        return tuple(Lease(**row) for row in rows)

    def put_lease(self, lease: Lease) -> None:
        """See the protocol."""
        values = asdict(lease)
        rest = {name: value for name, value in values.items() if name != "service"}
        new = self._insert(LEASES).values(values)
        self._connection.execute(new.on_conflict_do_update(index_elements=["service"], set_=rest))

    def drop_lease(self, service: str) -> None:
        """See the protocol."""
        self._connection.execute(delete(LEASES).where(LEASES.c.service == service))

    def drop_leases(self, action_id: int) -> None:
        """See the protocol."""
        self._connection.execute(delete(LEASES).where(LEASES.c.action_id == action_id))

    def add_change(self, key: str, change: SwitchChange) -> bool:
        """See the protocol."""
        if self.has_change(key):
            return False
        self._connection.execute(insert(SWITCH_CHANGES).values(key=key, **asdict(change)))
        return True

    def has_change(self, key: str) -> bool:
        """See the protocol."""
        wanted = select(SWITCH_CHANGES.c.number).where(SWITCH_CHANGES.c.key == key)
        return self._connection.execute(wanted).first() is not None

    def changes(self, limit: int) -> tuple[SwitchChange, ...]:
        """See the protocol."""
        return self._changes(_CHANGES.order_by(SWITCH_CHANGES.c.number.desc()).limit(limit))

    def latest_changes(self) -> tuple[SwitchChange, ...]:
        """See the protocol."""
        newest = select(func.max(SWITCH_CHANGES.c.number)).group_by(SWITCH_CHANGES.c.scope)
        return self._changes(_CHANGES.where(SWITCH_CHANGES.c.number.in_(newest)).order_by(SWITCH_CHANGES.c.scope))

    def _actions(self, wanted: Select[Any]) -> tuple[Action, ...]:
        return tuple(map(_action, self._connection.execute(wanted).mappings()))

    def _changes(self, wanted: Select[Any]) -> tuple[SwitchChange, ...]:
        return tuple(SwitchChange(**row) for row in self._connection.execute(wanted).mappings())


_CHANGES = select(*(SWITCH_CHANGES.c[each.name] for each in fields(SwitchChange)))


def _columns(action: Action) -> dict[str, Any]:
    values = asdict(action)
    return {**values, "services": canonical(values["services"]), "data": canonical(values["data"])}


def _action(row: RowMapping) -> Action:
    try:
        return Action(**{name: _WORDS[name](value) if name in _WORDS else value for name, value in row.items()})
    except (ValueError, TypeError) as error:
        raise CorruptStoreError(f"Action {row.get('id')} holds what was never written by us: {error}") from error
