"""What may be asked of the guardrails. They live in the incident store's database and survive every restart."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol

from include.guardrails.model import Action, ActionRequest, ActionState, Lease, Refused, Switch, SwitchChange


class Guardrails(Protocol):
    """Every command is one transaction, together with its line in the incident's timeline. Calls block, and may come
    from many threads and processes at once. Any may raise
    :class:`~include.incidents.errors.StoreUnavailableError`, in which case nothing may be done.
    """

    def check(self, request: ActionRequest) -> Refused | None:
        """What :meth:`begin` would say now; changes nothing (dry run)."""
        ...

    def begin(self, request: ActionRequest) -> Action | Refused:
        """Have the action on record as running, and its services leased, or say why not (also in the timeline).

        Of any number of callers at once, one begins. A running action of the same run, or whose holder's process is
        dead, or that has expired, is settled as abandoned first (on the request's target, or holding its services).
        Raises :class:`GuardrailError` for a request that makes no sense, and
        :class:`~include.incidents.errors.UnknownIncidentError`.
        """
        ...

    def end(self, action_id: int, state: ActionState, text: str, data: Mapping[str, Any] | None = None) -> Action:
        """It is over: give the leases back. No change if it is over already. Raises :class:`UnknownActionError`."""
        ...

    def actions(
        self, *, incident_id: str | None = None, since: datetime | None = None, limit: int = 100
    ) -> tuple[Action, ...]:
        """Newest first."""
        ...

    def settle(self) -> tuple[Action, ...]:
        """Settle every running action whose process is dead or whose time is over as abandoned; returns these."""
        ...

    def pause(self, scope: str, *, reason: str, by: str, until: datetime | None = None) -> Switch:
        """Switch automation off for a scenario, or for ``all``. Raises :class:`GuardrailError` without a reason."""
        ...

    def resume(self, scope: str, *, by: str) -> bool:
        """Switch it on again. ``False``: it was not off."""
        ...

    def switches(self) -> tuple[Switch, ...]:
        """All that are off now."""
        ...

    def switch_changes(self, limit: int = 100) -> tuple[SwitchChange, ...]:
        """Who switched what off and on, newest first."""
        ...

    def lease(self, service: str, *, holder: str, purpose: str, seconds: float) -> Lease | None:
        """Take (or, as its holder, prolong) the service; ``None`` while somebody else, who is alive, has it, or a
        running action, whose leases end with it.
        """
        ...

    def give_back(self, service: str, holder: str) -> None:
        """Only the holder's own lease is given back; anything else changes nothing."""
        ...

    def leases(self) -> tuple[Lease, ...]:
        """All that are held and have not expired."""
        ...

    def close(self) -> None:
        """Give back all connections."""
        ...
