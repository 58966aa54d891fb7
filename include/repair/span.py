"""Which time a repair is about, and how far it has to look around it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from include.incidents.model import Incident
from include.repair.errors import RepairError
from include.repair.model import Span
from include.settings import Settings
from include.warehouse.moments import MINUTE_MS

_BEFORE = timedelta(minutes=3)  # trades were lost before the first bad sample told of it
_AFTER = timedelta(minutes=2)  # the last of what was held back arrives when the fault is over already
_MINUTE = timedelta(minutes=1)


def span_of_incident(incident: Incident, settings: Settings, now: datetime) -> Span:
    """Whole minutes from a little before the onset of an incident until now, or a little after it was resolved.

    The longest window need not be added: a repair looks at every window that the span touches.
    """
    end = now if incident.resolved_at is None else min(now, incident.resolved_at + _AFTER)
    return span_of(incident.onset_at - _BEFORE, max(end, incident.onset_at), settings.symbols, settings)


def span_of(start: datetime, end: datetime, symbols: Iterable[str], settings: Settings) -> Span:
    """A span of whole minutes, wide enough to hold ``start`` and ``end``. No symbols: all of the settings.

    Raises :class:`RepairError` when it cannot be meant so.
    """
    if start.tzinfo is None or end.tzinfo is None:
        raise RepairError("A time without a zone was given. Times are in UTC, for example 2026-11-24T10:00.")
    wanted = tuple(symbols) or settings.symbols
    if unknown := sorted(set(wanted) - set(settings.symbols)):
        raise RepairError(
            f"Not followed: {', '.join(unknown)}. The settings name {', '.join(settings.symbols)} (PIPELINE_SYMBOLS)."
        )
    first, last = start.astimezone(UTC), end.astimezone(UTC)
    first = first.replace(second=0, microsecond=0)
    if (floor := last.replace(second=0, microsecond=0)) != last:
        last = floor + _MINUTE
    if last <= first:
        raise RepairError(f"Nothing lies between {first:%Y-%m-%d %H:%M} and {last:%Y-%m-%d %H:%M} UTC: swap them?")
    return Span(first, last, tuple(dict.fromkeys(wanted)))


def moment_of(text: str) -> datetime:
    """A time as a person writes it, in UTC where it names no zone. Raises :class:`RepairError`."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise RepairError(f"{text!r} is no time. Write it like 2026-11-24T10:00, in UTC.") from error
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


def minutes_of(span: Span) -> range:
    """Its minutes, since the epoch."""
    return range(to_ms(span.start) // MINUTE_MS, to_ms(span.end) // MINUTE_MS)


def reach_of(span: Span, lengths: Iterable[int]) -> range:
    """The minutes whose trades are in a window that the span touches: the longest window less one, on either side."""
    minutes, more = minutes_of(span), max(lengths) - 1
    return range(minutes.start - more, minutes.stop + more)


def to_ms(moment: datetime) -> int:
    """Milliseconds since the epoch."""
    return round(moment.timestamp() * 1000)


def minute_text(minute: int) -> str:
    """A minute since the epoch for people, UTC."""
    return f"{datetime.fromtimestamp(minute * 60, UTC):%Y-%m-%d %H:%M}"
