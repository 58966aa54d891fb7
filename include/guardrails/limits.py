"""The arithmetic of cooldown, hourly budget and breaker: pure functions of what was done, the limits and the time.

A start counts while it lies less than the window away from now, before *or after* it: after now lies what was written
before the clock was set back a little. If it was set back by more than the longest window, nothing that was written
until then counts any more. So the limits hold for the written times although the clock is corrected now and then, and
a clock that was set back does not lock for longer than two windows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import takewhile

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
    """What one rung did on one target, each newest first *in the order of writing*. ``starts``: all that are not older
    than the :func:`window`. ``ended``: the last ``breaker_failures`` (or more) that ended. Refusals are in neither.
    """

    starts: tuple[datetime, ...] = ()
    ended: tuple[Ended, ...] = ()


def window(limits: Limits) -> timedelta:
    """How far back starts can count."""
    return max(HOUR, timedelta(seconds=limits.cooldown_seconds))


def cooldown_until(past: Past, limits: Limits, now: datetime) -> datetime | None:
    """When the cooldown is over; ``None``: it is."""
    starts = counted(past, limits, now)
    return _later(_free_at(starts, timedelta(seconds=limits.cooldown_seconds), 1, now), now)


def budget_until(past: Past, limits: Limits, now: datetime) -> datetime | None:
    """When the budget of an hour (any sixty minutes) allows one more; ``None``: now."""
    return _later(_free_at(counted(past, limits, now), HOUR, limits.hourly_budget, now), now)


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


def counted(past: Past, limits: Limits, now: datetime) -> tuple[datetime, ...]:
    """The starts that were written since the clock was last set back by more than the window."""
    horizon = now + window(limits)
    return tuple(takewhile(lambda start: start <= horizon, past.starts))


def recent(starts: Iterable[datetime], length: timedelta, now: datetime) -> int:
    """How many starts lie less than ``length`` away from now."""
    return sum(abs(now - start) < length for start in starts)


def _free_at(starts: Sequence[datetime], length: timedelta, most: int, now: datetime) -> datetime:
    """The first moment, from now on, at which fewer than ``most`` starts are recent: now, or when one of them grows
    old; when the last one does, none is.
    """
    moments = sorted(start + length for start in starts)
    return next(each for each in (now, *(m for m in moments if m > now)) if recent(starts, length, each) < most)


def _later(moment: datetime, now: datetime) -> datetime | None:
    return moment if moment > now else None
