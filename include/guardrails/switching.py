"""Kill switch and pauses, within one transaction: whatever is off follows from the newest change of each scope."""

from __future__ import annotations

from datetime import datetime

from include.guardrails.book import GuardBook
from include.guardrails.errors import GuardrailError
from include.guardrails.model import ALL, Switch, SwitchChange
from include.incidents.entry_data import clean_text, utc
from include.playbook.names import ScenarioId

SCOPES = (ALL, *ScenarioId)


def pause(
    book: GuardBook, key: str, scope: str, *, reason: str, by: str, until: datetime | None, now: datetime
) -> Switch:
    """See the protocol."""
    change = SwitchChange(
        at=now,
        scope=_scope(scope),
        off=True,
        by=_said(by, "who does it"),
        reason=_said(reason, "a reason"),
        until=utc(until) if until else None,
    )
    if change.until and change.until <= now:
        raise GuardrailError(f"{scope} cannot be switched off until {change.until}: that is over.")
    book.add_change(key, change)
    return _switch(change)


def resume(book: GuardBook, key: str, scope: str, *, by: str, now: datetime) -> bool:
    """See the protocol."""
    wanted = _scope(scope)
    change = SwitchChange(at=now, scope=wanted, off=False, by=_said(by, "who does it"))
    if wanted not in {switch.scope for switch in switched_off(book, now)}:
        return book.has_change(key)  # then it was we, and the first try's answer was lost
    return book.add_change(key, change)


def switched_off(book: GuardBook, now: datetime) -> tuple[Switch, ...]:
    """All that are off, by scope."""
    changes = book.latest_changes()
    return tuple(_switch(each) for each in changes if each.off and (each.until is None or each.until > now))


def _switch(change: SwitchChange) -> Switch:
    return Switch(change.scope, change.reason, change.by, change.at, change.until)


def _scope(scope: str) -> str:
    if scope not in SCOPES:
        raise GuardrailError(f"There is no automation {scope!r}; there are {', '.join(SCOPES)}.")
    return str(scope)


def _said(text: str, what: str) -> str:
    if not text.strip():
        raise GuardrailError(f"To switch automation on or off, {what} must be said.")
    return clean_text(text.strip())
