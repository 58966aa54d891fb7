"""Guardrails of each kind for tests, on the incident stores of tests, and shorthands for what is asked of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from include.guardrails.base import BaseGuardrails
from include.guardrails.memory import MemoryGuardrails
from include.guardrails.model import Action, ActionRequest, ActionState, Limits, Refused
from include.guardrails.sql import SqlGuardrails
from include.incidents.base_store import BaseIncidentStore
from include.incidents.model import Entry, EntryKind, Incident
from include.playbook.ladder import RungId
from include.playbook.names import Component
from tests.support.incident_stores import Backend, opened

LIMITS = Limits(cooldown_seconds=60, hourly_budget=4, breaker_failures=3, breaker_seconds=1800)
PRODUCER = {"rung": RungId.RESTART_PRODUCER, "target": Component.PRODUCER, "services": ("btc_producer",)}
ACTION_KINDS = (EntryKind.ACTION_STARTED, EntryKind.ACTION_ENDED, EntryKind.ACTION_REFUSED)


@dataclass
class Guard:
    """Guardrails on a backend, with an incident. ``lives``: what is known of a holder; of others: it lives."""

    backend: Backend
    lives: dict[str, bool | None] = field(default_factory=dict)
    rails: BaseGuardrails = field(init=False)
    incident: Incident = field(init=False)
    _made: list[BaseGuardrails] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rails = self.another()
        self.incident = opened(self.backend)

    def another(self, **options: Any) -> BaseGuardrails:
        """One more on the same database; in memory the same ones again."""
        if not self.backend.url and self._made:
            return self._made[0]
        made: BaseGuardrails
        if self.backend.url:
            made = SqlGuardrails(self.backend.url, self.backend.clock, self.alive, **options)
        else:
            assert isinstance(self.backend.store, BaseIncidentStore)
            made = MemoryGuardrails(self.backend.clock, self.backend.store, self.alive)
        self._made.append(made)
        return made

    def alive(self, holder: str) -> bool | None:
        return self.lives.get(holder, True)

    def request(self, **changes: Any) -> ActionRequest:
        """Restart the broker, for the health Dag, in the hands of one worker."""
        values: dict[str, Any] = {
            "incident_id": self.incident.id,
            "scenario": self.incident.scenario,
            "rung": RungId.RESTART_KAFKA,
            "target": Component.KAFKA,
            "requested_by": "health",
            "run": "run 1",
            "holder": "worker 1",
            "limits": LIMITS,
            "lease_seconds": 30.0,
            "services": ("kafka",),
        }
        return ActionRequest(**values | changes)

    def begin(self, **changes: Any) -> Action:
        """It must be let through."""
        action = self.rails.begin(self.request(**changes))
        assert isinstance(action, Action), action
        return action

    def refused(self, **changes: Any) -> Refused:
        """It must not; and a look must have said the same, without doing anything."""
        request = self.request(**changes)
        before = self.told()
        looked = self.rails.check(request)
        assert self.told() == before
        refused = self.rails.begin(request)
        assert isinstance(refused, Refused), refused
        assert looked == refused
        return refused

    def free(self, **changes: Any) -> bool:
        """Whether a look says that it may begin."""
        return self.rails.check(self.request(**changes)) is None

    def done(self, state: ActionState = ActionState.SUCCEEDED, **changes: Any) -> Action:
        """Begun and ended."""
        return self.rails.end(self.begin(**changes).id, state, f"it {state}")

    def told(self, incident: Incident | None = None) -> tuple[Entry, ...]:
        """What the timeline says of actions."""
        entries = self.backend.store.timeline((incident or self.incident).id)
        return tuple(entry for entry in entries if entry.kind in ACTION_KINDS)

    def wait(self, seconds: float) -> None:
        self.backend.clock.advance(seconds)

    def in_(self, seconds: float) -> datetime:
        """That far from now."""
        return self.backend.now() + timedelta(seconds=seconds)

    def close(self) -> None:
        """Whatever was done, the timelines must verify."""
        assert self.backend.store.verify() == ()
        for made in self._made:
            made.close()
