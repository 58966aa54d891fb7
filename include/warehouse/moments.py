"""Moments as the warehouse writes them: milliseconds or whole minutes since the epoch ↔ ``DATETIME(3)`` in UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache

MINUTE_MS = 60_000

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - DATETIME columns carry no zone; the session's is UTC


def from_ms(ms: int) -> str:
    """Milliseconds since the epoch as a DATETIME(3) literal's text."""
    return (_EPOCH + timedelta(milliseconds=ms)).isoformat(sep=" ", timespec="milliseconds")


@lru_cache(maxsize=8192)
def from_minute(minute: int) -> str:
    """Whole minutes since the epoch as a DATETIME(3) literal's text."""
    return from_ms(minute * MINUTE_MS)


def to_ms(value: datetime) -> int:
    """A DATETIME(3) as the driver returns it, in milliseconds since the epoch."""
    return (value - _EPOCH) // timedelta(milliseconds=1)


def to_minute(value: datetime) -> int:
    """A DATETIME(3) on a whole minute, in minutes since the epoch."""
    return to_ms(value) // MINUTE_MS


def to_utc(value: datetime) -> datetime:
    """A DATETIME(3) as the driver returns it, as an aware datetime."""
    return value.replace(tzinfo=UTC)
