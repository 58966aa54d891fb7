"""Leases that are taken without an action (supervision's), within one transaction."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from include.guardrails.book import GuardBook
from include.guardrails.errors import GuardrailError
from include.guardrails.model import Lease
from include.guardrails.settling import Alive, dead_actions, is_free, settle
from include.incidents.entry_data import clean_text


def take(
    book: GuardBook, service: str, *, holder: str, purpose: str, seconds: float, now: datetime, alive: Alive
) -> Lease | None:
    """See the protocol. A dead action that has the service is settled first."""
    if seconds <= 0 or not service or not holder:
        raise GuardrailError(f"A lease has a service ({service!r}), a holder ({holder!r}) and a time ({seconds:g} s).")
    settle(book, dead_actions([each for each in book.running() if service in each.services], now, alive), now)
    holder, expires_at = clean_text(holder), now + timedelta(seconds=seconds)
    current = next((lease for lease in book.leases() if lease.service == service), None)
    if current is None or is_free(current, now, alive):
        lease = Lease(clean_text(service), holder, clean_text(purpose), now, expires_at)
    elif current.holder == holder and current.action_id is None:
        lease = replace(current, purpose=clean_text(purpose), expires_at=expires_at)
    else:
        return None
    book.put_lease(lease)
    return lease


def give_back(book: GuardBook, service: str, holder: str) -> None:
    """See the protocol. What an action has is given back by its end."""
    for lease in book.leases():
        if lease.service == service and lease.holder == holder and lease.action_id is None:
            book.drop_lease(service)


def held(book: GuardBook, now: datetime) -> tuple[Lease, ...]:
    """See the protocol."""
    return tuple(lease for lease in book.leases() if lease.expires_at > now)
