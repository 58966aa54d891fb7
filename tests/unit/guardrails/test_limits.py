"""Cooldown, budget and breaker on a virtual clock: what they promise of every history, and their edges."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.guardrails.limits import HOUR, Ended, Past, breaker_until, budget_until, cooldown_until, window
from include.guardrails.model import ActionState, Limits

A = ActionState
ENDS = [state for state in A if state is not A.RUNNING]
NOON = datetime(2026, 11, 6, 12, tzinfo=UTC)
LIMITS = st.builds(
    Limits,
    cooldown_seconds=st.sampled_from([0.0, 1.0, 60.0, 900.0, 7200.0]),
    hourly_budget=st.integers(1, 6),
    breaker_failures=st.integers(1, 4),
    breaker_seconds=st.sampled_from([60.0, 1800.0]),
)
# Waits beside the limits' own lengths: just before, at, and just after them.
WAITS = st.one_of(
    st.integers(0, 4000),
    st.sampled_from([0, 1, 59, 60, 61, 899, 900, 901, 1799, 1800, 1801, 3599, 3600, 3601, 7200]),
)


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


@dataclass
class Plant:
    """Somebody who tries again and again, and is let through when the limits say so."""

    limits: Limits
    now: datetime = NOON
    starts: list[datetime] = field(default_factory=list)
    ended: list[Ended] = field(default_factory=list)

    @property
    def past(self) -> Past:
        return Past(tuple(reversed(self.starts)), tuple(reversed(self.ended)))

    def until(self) -> datetime | None:
        """When all three let it through; ``None``: now."""
        checks = (cooldown_until, budget_until, breaker_until)
        found = [moment for check in checks if (moment := check(self.past, self.limits, self.now))]
        return max(found, default=None)

    def attempt(self, state: ActionState) -> bool:
        if self.until() is not None:
            return False
        self.starts.append(self.now)
        self.ended.append(Ended(state, self.now))
        return True


def most_in_an_hour(starts: Sequence[datetime]) -> int:
    """Of any sixty minutes, the first of them included."""
    return max((sum(start <= each < start + HOUR for each in starts) for start in starts), default=0)


def check(plant: Plant) -> None:
    assert most_in_an_hour(plant.starts) <= plant.limits.hourly_budget
    gaps = [(later - earlier).total_seconds() for earlier, later in pairwise(plant.starts)]
    assert all(gap >= plant.limits.cooldown_seconds for gap in gaps)


@given(LIMITS, st.lists(st.tuples(WAITS, st.sampled_from(ENDS)), max_size=40))
def test_no_history_exceeds_budget_or_cooldown(limits: Limits, tries: list[tuple[int, ActionState]]) -> None:
    plant = Plant(limits)
    for wait, state in tries:
        plant.now += timedelta(seconds=wait)
        plant.attempt(state)
    check(plant)


@given(LIMITS, st.lists(st.tuples(st.integers(-9000, 9000), st.sampled_from(ENDS)), max_size=40))
def test_not_even_when_the_clock_is_corrected_now_and_then(
    limits: Limits, tries: list[tuple[int, ActionState]]
) -> None:
    """Never by more than the window behind what it has shown."""
    plant, newest = Plant(limits), NOON
    for jump, state in tries:
        plant.now = max(plant.now + timedelta(seconds=jump), newest - window(limits))
        newest = max(newest, plant.now)
        plant.attempt(state)
    plant.starts.sort()
    check(plant)


@given(LIMITS, st.lists(WAITS, max_size=30), st.one_of(st.integers(1, 20_000), st.integers(1, 10_000_000)))
def test_a_clock_that_was_set_back_does_not_lock_for_ever(limits: Limits, waits: list[int], back: int) -> None:
    plant = Plant(limits)
    for wait in waits:
        plant.now += timedelta(seconds=wait)
        plant.attempt(A.FAILED)
    plant.now -= timedelta(seconds=back)
    begun, longest = plant.now, max(window(limits), timedelta(seconds=limits.breaker_seconds))
    while not plant.attempt(A.FAILED):
        plant.now = plant.until() or plant.now
    assert plant.now - begun <= 2 * longest


@given(LIMITS, st.lists(st.tuples(WAITS, st.sampled_from(ENDS)), max_size=40))
def test_until_is_the_first_moment_at_which_it_may_begin(limits: Limits, tries: list[tuple[int, ActionState]]) -> None:
    plant = Plant(limits)
    for wait, state in tries:
        plant.now += timedelta(seconds=wait)
        plant.attempt(state)
    if until := plant.until():
        plant.now = until - timedelta(microseconds=1)
        assert plant.until() == until
        plant.now = until
        assert plant.until() is None


# --- by example


def test_the_budget_is_counted_over_any_sixty_minutes() -> None:
    limits = Limits(0, 3)
    past = Past((at(3000), at(1800), at(0)))
    assert budget_until(past, limits, at(3599)) == at(3600)  # not at the full hour, but when the first grows old
    assert budget_until(past, limits, at(3600)) is None
    assert budget_until(Past((at(3600), *past.starts)), limits, at(3601)) == at(5400)


def test_more_than_the_budget_may_have_begun_by_a_persons_will() -> None:
    past = Past(tuple(at(seconds) for seconds in (30, 20, 10, 0)))
    assert budget_until(past, Limits(0, 2), at(40)) == at(3620)  # three have to grow old


@pytest.mark.parametrize(
    ("ended", "now", "until"),
    [
        ("", 0, None),
        ("FF", 20, None),
        ("FFF", 30, 1830),
        ("FRA", 30, 1830),  # rolled back and abandoned have not helped either
        ("FFSF", 40, None),  # the row began anew
        ("SFFF", 40, 1840),
        ("FFF", 1829, 1830),
        ("FFF", 1830, None),  # one try
        ("FFFFF", 60, 1850),  # it failed too: open from its end on
        ("FFFS", 41, None),  # it helped: closed
        ("FFFSFF", 60, None),  # and three in a row are needed again
    ],
)
def test_the_breaker(ended: str, now: float, until: float | None) -> None:
    """One ends every ten seconds, the first at ten."""
    states = {"F": A.FAILED, "R": A.ROLLED_BACK, "A": A.ABANDONED, "S": A.SUCCEEDED}
    past = Past((), tuple(Ended(states[letter], at(10 * i)) for i, letter in enumerate(ended, 1))[::-1])
    assert breaker_until(past, Limits(0, 9), at(now)) == (None if until is None else at(until))
