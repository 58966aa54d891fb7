"""How late the averages were, from the ledger of micro-batches."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from include.review.freshness import Freshness, freshness
from include.warehouse.reader import CommittedBatch

START = datetime(2026, 11, 24, 12, tzinfo=UTC)
TARGET = timedelta(seconds=15)


def at(seconds: float) -> datetime:
    """Seconds after the first sign."""
    return START + timedelta(seconds=seconds)


def batch(committed: float, newest: float | None, trades: int = 20) -> CommittedBatch:
    """A micro-batch that wrote six averages."""
    return CommittedBatch(at(committed), None if newest is None else at(newest), trades, 0, 0, 6)


YEAR = -365 * 86_400.0


@pytest.mark.parametrize(
    ("story", "batches", "end", "expected"),
    [
        ("nothing is known", [], 60, None),
        ("always fresh", [batch(t, t - 1) for t in range(-1, 60)], 60, Freshness(0, 2, True, 0, 0)),
        (
            "a pause of 40 s, then all at once",
            [batch(-1, -2), *(batch(t, t - 1) for t in range(40, 61))],
            60,
            Freshness(27, 42, True, 6, 20),  # old from 13 on
        ),
        (
            "the backlog is worked off: written again, and still behind",
            [batch(0, -1), batch(40, 0, 500), batch(45, 20, 500), batch(50, 49)],
            60,
            Freshness(36, 50 - 5, True, 18, 1020),
        ),
        ("it never came back", [batch(0, -1)], 60, Freshness(46, 61, True, 0, 0)),
        (
            "a replay of last year's trades is counted by the writes",
            [batch(-1, YEAR), *(batch(t, YEAR + t) for t in range(40, 61))],
            60,
            Freshness(26, 41, False, 6, 20),
        ),
        ("no trade yet: counted by the writes", [batch(0, None), batch(20, None)], 30, Freshness(5, 20, False, 6, 20)),
        (
            "it was old before: counted from the first sign",
            [batch(-30, -31), batch(5, 4)],
            6,
            Freshness(5, 36, True, 6, 20),
        ),
        ("the first batch comes within it", [batch(5, 4), batch(6, 5)], 10, Freshness(0, 5, True, 0, 0)),
    ],
)
def test_breach_greatest_age_and_what_came_late(
    story: str, batches: list[CommittedBatch], end: float, expected: Freshness | None
) -> None:
    assert freshness(batches, START, at(end), TARGET) == expected, story
