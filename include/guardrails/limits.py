"""The arithmetic of cooldown, hourly budget and breaker: pure functions of what was done, the limits and the time.

A start counts while it lies less than the window away from now, *before or after* it. After now lies what was written
before the clock was set back. So the limits hold for the written times whatever the clock does, and a clock that was
set back locks for two windows at most.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from include.guardrails.model import ActionState, Limits

HOUR = timedelta(hours=1)
# What the breaker counts: not helped is not helped, whatever the reason.
FAILURES = frozenset({ActionState.FAILED, ActionState.ROLLED_BACK, ActionState.ABANDONED})


@dataclass(frozen=True, slots=True)
class Ended:
    """How an action ended, and when."""

    state: ActionState
    at: datetime


@dataclass(frozen=True, slots=True)
class Past:
    """What one rung did on one target. ``starts``: of all that began and may still count (:func:`window`), in any
    order. ``ended``: the latest ``breaker_failures`` (or more) that ended, newest first. Refusals are in neither.
    """

    starts: tuple[datetime, ...] = ()
    ended: tuple[Ended, ...] = ()


def window(limits: Limits) -> timedelta:
    """How far back starts can count."""
    return max(HOUR, timedelta(seconds=limits.cooldown_seconds))


def cooldown_until(past: Past, limits: Limits, now: datetime) -> datetime | None:
    """When the cooldown is over; ``None``: it is."""
    return _later(_free_at(past.starts, timedelta(seconds=limits.cooldown_seconds), 1, now), now)


def budget_until(past: Past, limits: Limits, now: datetime) -> datetime | None:
    """When the budget of an hour (any sixty minutes) allows one more; ``None``: now."""
    return _later(_free_at(past.starts, HOUR, limits.hourly_budget, now), now)


def breaker_until(past: Past, limits: Limits, now: datetime) -> datetime | None:
    """When the open breaker lets one try through; ``None``: it is closed, or the time for a try has come.

    There is no memory beside the past: a try that fails is the newest failure of the row, and opens it anew from its
    end; one that succeeds ends the row. That no second try comes beside the first is left to the target's lock.
    """
    row = past.ended[: limits.breaker_failures]
    if len(row) < limits.breaker_failures or any(each.state not in FAILURES for each in row):
        return None
    pause = timedelta(seconds=limits.breaker_seconds)
    return _later(_free_at([row[0].at], pause, 1, now), now)


def recent(starts: Iterable[datetime], length: timedelta, now: datetime) -> int:
    """How many starts count."""
    return sum(abs(now - start) < length for start in starts)


def _free_at(starts: Sequence[datetime], length: timedelta, most: int, now: datetime) -> datetime:
    """The first moment, from now on, at which fewer than ``most`` starts count. One can only become free of starts
    when one of them grows old; at the last of these moments none counts any more.
    """
    moments = sorted(start + length for start in starts)
    return next(each for each in (now, *(m for m in moments if m > now)) if recent(starts, length, each) < most)


def _later(moment: datetime, now: datetime) -> datetime | None:
    return moment if moment > now else None
