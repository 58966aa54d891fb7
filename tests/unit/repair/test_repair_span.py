"""Whole minutes, known symbols, and how much around an incident."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

import pytest

from include.repair.errors import RepairError
from include.repair.span import minutes_of, reach_of, span_of, span_of_incident
from include.settings import Settings

SETTINGS = Settings(symbols=("BTCUSDT", "ETHUSDT"))
AT = datetime(2026, 11, 24, 10, 0, tzinfo=UTC)


def test_a_span_is_made_of_whole_minutes() -> None:
    span = span_of(AT + timedelta(seconds=5), AT + timedelta(seconds=61), [], SETTINGS)
    assert (span.start, span.end, span.symbols) == (AT, AT + timedelta(minutes=2), SETTINGS.symbols)
    zone = timezone(timedelta(hours=2))
    there = span_of(AT.astimezone(zone), (AT + timedelta(minutes=1)).astimezone(zone), ["ETHUSDT"], SETTINGS)
    assert (there.start.tzinfo, there.end, there.symbols) == (UTC, AT + timedelta(minutes=1), ("ETHUSDT",))


@pytest.mark.parametrize(
    ("start", "end", "symbols", "words"),
    [
        (AT, AT, [], "swap"),
        (AT, AT - timedelta(hours=1), [], "swap"),
        (AT, AT + timedelta(hours=1), ["DOGEUSDT"], "Not followed: DOGEUSDT"),
        (AT.replace(tzinfo=None), AT, [], "without a zone"),
    ],
)
def test_what_cannot_be_meant_is_refused(start: datetime, end: datetime, symbols: list[str], words: str) -> None:
    with pytest.raises(RepairError, match=words):
        span_of(start, end, symbols, SETTINGS)


def test_a_window_that_the_span_touches_reaches_beyond_it() -> None:
    span = span_of(AT, AT + timedelta(minutes=2), [], SETTINGS)
    minutes = minutes_of(span)
    assert len(minutes) == 2
    assert reach_of(span, (1, 5, 15)) == range(minutes.start - 14, minutes.stop + 14)
    assert reach_of(span, (1,)) == minutes


@pytest.mark.parametrize(
    ("resolved", "now", "end"),
    [
        (None, 5.2, 6),  # goes on: until now
        (4, 5.2, 6),  # was resolved a moment ago
        (4, 600, 6),  # was resolved long ago: what came later is another matter
        (None, -1, 0),  # clocks that differ
    ],
)
def test_the_time_of_an_incident(resolved: float | None, now: float, end: float) -> None:
    resolved_at = None if resolved is None else AT + timedelta(minutes=resolved)
    incident: Any = SimpleNamespace(onset_at=AT, resolved_at=resolved_at)
    span = span_of_incident(incident, SETTINGS, AT + timedelta(minutes=now))
    assert (span.start, span.end) == (AT - timedelta(minutes=3), AT + timedelta(minutes=end))
