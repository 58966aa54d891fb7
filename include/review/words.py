"""Moments, spans and numbers as a review writes them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from include.incidents.model import Entry
from include.review.document import Reference, ReferenceKind

_MINUTE, _HOUR = 60, 3600


def moment(at: datetime) -> str:
    """To the tenth of a second, in UTC."""
    at = at.astimezone(UTC)
    return f"{at:%Y-%m-%d %H:%M:%S}.{at.microsecond // 100_000} UTC"


def clock_time(at: datetime) -> str:
    """The time of day alone."""
    at = at.astimezone(UTC)
    return f"{at:%H:%M:%S}.{at.microsecond // 100_000}"


def span(seconds: float) -> str:
    """``4.2 s``, ``3 min 05 s``, ``2 h 10 min``."""
    if seconds < _MINUTE:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < _HOUR:
        return f"{whole // _MINUTE} min {whole % _MINUTE:02d} s"
    return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE:02d} min"


def plain(word: str) -> str:
    """A word of the program's for people."""
    return str(word).replace("_", " ")


def counted(number: int, one: str, many: str = "") -> str:
    """``1 action``, ``3 actions``."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def first_line(text: str) -> str:
    """The first line that says something."""
    return next((line.strip() for line in text.splitlines() if line.strip()), "")


def entry_refs(entries: Iterable[Entry], most: int = 6) -> tuple[Reference, ...]:
    """Lines of the timeline as evidence; the first ones."""
    chosen = list(entries)[:most]
    return tuple(Reference(kind=ReferenceKind.ENTRY, name=str(each.number), sha256=each.hash) for each in chosen)


def action_ref(action_id: int) -> Reference:
    """An action on record as evidence."""
    return Reference(kind=ReferenceKind.ACTION, name=str(action_id))
