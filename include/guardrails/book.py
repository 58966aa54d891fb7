"""The rows of the guardrails within one transaction: the port behind which memory and databases are alike."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from include.guardrails.model import Action, Lease, Refusal, SwitchChange
from include.incidents.book import Book
from include.playbook.ladder import RungId
from include.playbook.names import Component


@dataclass(frozen=True, slots=True)
class RefusalKey:
    """What makes a refusal the same as an earlier one: it is told once."""

    incident_id: str
    run: str
    rung: RungId
    target: Component
    refusal: Refusal


class GuardBook(Protocol):
    """One transaction, together with the incidents' own. One that writes has the guardrails to itself until its end."""

    @property
    def incidents(self) -> Book:
        """The incidents, in the same transaction."""
        ...

    def add(self, action: Action) -> Action | None:
        """A new running action, with its number. ``None``: the target has one already."""
        ...

    def put(self, action: Action) -> None:
        """An action as it stands now."""
        ...

    def action(self, action_id: int) -> Action | None:
        """One action."""
        ...

    def running(self) -> tuple[Action, ...]:
        """All that run, oldest first."""
        ...

    def actions(self, incident_id: str | None, since: datetime | None, limit: int) -> tuple[Action, ...]:
        """Newest first."""
        ...

    def starts(self, rung: RungId, target: Component, after: datetime) -> tuple[datetime, ...]:
        """When the rung began on the target, later than ``after``; the one written last first."""
        ...

    def ended(self, rung: RungId, target: Component, limit: int) -> tuple[Action, ...]:
        """Those that are over, the one written last first."""
        ...

    def first_refusal(self, key: RefusalKey) -> bool:
        """Note it; whether it is the first of its kind."""
        ...

    def leases(self) -> tuple[Lease, ...]:
        """All rows, by service; the expired too."""
        ...

    def put_lease(self, lease: Lease) -> None:
        """Insert or replace the service's."""
        ...

    def drop_lease(self, service: str) -> None:
        """Nobody has the service any more."""
        ...

    def drop_leases(self, action_id: int) -> None:
        """All that belong to the action."""
        ...

    def add_change(self, key: str, change: SwitchChange) -> bool:
        """One more line of the history; ``False``: the one with this key is there already."""
        ...

    def has_change(self, key: str) -> bool:
        """Whether the line with this key is there."""
        ...

    def changes(self, limit: int) -> tuple[SwitchChange, ...]:
        """Newest first."""
        ...

    def latest_changes(self) -> tuple[SwitchChange, ...]:
        """The newest of each scope, by scope."""
        ...
