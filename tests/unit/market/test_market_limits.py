"""Circuit breaker, weight budget, Retry-After gate, back-off: tables over a clock that the test moves."""

from __future__ import annotations

import random

import pytest

from include.market.backoff import AttemptBudget, Backoff
from include.market.breaker import BreakerState, CircuitBreaker, Permission
from include.market.weight import Admission, Priority, RetryAfterGate, WeightBudget
from include.runtime.clock import ManualClock

MINUTE = 60_000


def test_breaker_opens_probes_and_closes() -> None:
    clock = ManualClock()
    breaker = CircuitBreaker(clock, failures_to_open=3, open_seconds=10, longest_open_seconds=30)
    story = [
        # seconds later, what happens, permission asked for, state after
        (0, "fail", Permission.ALLOWED, BreakerState.CLOSED),
        (0, "fail", Permission.ALLOWED, BreakerState.CLOSED),
        (0, "succeed", Permission.ALLOWED, BreakerState.CLOSED),  # failures must be in a row
        (0, "fail", Permission.ALLOWED, BreakerState.CLOSED),
        (0, "fail", Permission.ALLOWED, BreakerState.CLOSED),
        (0, "fail", Permission.ALLOWED, BreakerState.OPEN),
        (9.9, None, Permission.REFUSED_OPEN, BreakerState.OPEN),
        (0.1, None, Permission.PROBE, BreakerState.HALF_OPEN),
        (1, "fail", Permission.REFUSED_PROBING, BreakerState.OPEN),  # one probe at a time; it failed: 20 s now
        (19.9, None, Permission.REFUSED_OPEN, BreakerState.OPEN),
        (0.1, "fail", Permission.PROBE, BreakerState.OPEN),  # 30 s, the longest
        (29.9, None, Permission.REFUSED_OPEN, BreakerState.OPEN),
        (0.1, "succeed", Permission.PROBE, BreakerState.CLOSED),
        (0, None, Permission.ALLOWED, BreakerState.CLOSED),
    ]
    for step, (seconds, outcome, permission, state) in enumerate(story):
        clock.advance(seconds)
        assert breaker.ask() is permission, step
        if outcome is not None:
            getattr(breaker, outcome)()
        assert breaker.state is state, step
    assert Permission.PROBE.granted
    assert not Permission.REFUSED_PROBING.granted


def test_a_probe_whose_caller_vanished_is_written_off() -> None:
    clock = ManualClock()
    breaker = CircuitBreaker(clock, failures_to_open=1, open_seconds=10)
    breaker.fail()
    clock.advance(10)
    assert breaker.ask() is Permission.PROBE
    assert breaker.ask() is Permission.REFUSED_PROBING
    assert breaker.seconds_to_probe() == 10
    clock.advance(10)
    assert breaker.ask() is Permission.PROBE


@pytest.mark.parametrize(
    ("used", "optional", "repair", "oracle"),
    [
        (0, Admission.ALLOWED, Admission.ALLOWED, Admission.ALLOWED),
        (499, Admission.ALLOWED, Admission.ALLOWED, Admission.ALLOWED),
        (500, Admission.HALF_SPENT, Admission.ALLOWED, Admission.ALLOWED),
        (799, Admission.HALF_SPENT, Admission.ALLOWED, Admission.ALLOWED),
        (800, Admission.NEARLY_SPENT, Admission.NEARLY_SPENT, Admission.ALLOWED),
        (975, Admission.NEARLY_SPENT, Admission.NEARLY_SPENT, Admission.ALLOWED),
        (976, Admission.SPENT, Admission.SPENT, Admission.SPENT),  # 25 more would go over the limit
    ],
)
def test_the_scarcer_the_weight_the_more_important_the_call(
    used: int, optional: Admission, repair: Admission, oracle: Admission
) -> None:
    for priority, expected in zip(Priority, (optional, repair, oracle), strict=True):
        budget = WeightBudget(ManualClock(), limit=1000)
        budget.observe(used)
        assert budget.admit(25, priority) is expected
        assert budget.used == used + (25 if expected is Admission.ALLOWED else 0)


def test_weight_starts_anew_at_the_full_minute() -> None:
    clock = ManualClock(now_ms=100 * MINUTE + 59_000)
    budget = WeightBudget(clock, limit=100)
    budget.observe(90)
    assert budget.seconds_to_reset() == 1
    assert budget.admit(25, Priority.ORACLE) is Admission.SPENT
    clock.advance(0.999)
    assert budget.used == 90
    clock.advance(0.001)
    assert budget.used == 0
    assert budget.admit(25, Priority.OPTIONAL) is Admission.ALLOWED
    assert budget.used == 25
    budget.set_limit(20)
    assert budget.admit(25, Priority.ORACLE) is Admission.SPENT


def test_the_gate_never_shortens_a_wait() -> None:
    clock = ManualClock()
    gate = RetryAfterGate(clock)
    assert gate.seconds_left() == 0
    gate.close(10, 418)
    gate.close(2, 429)
    clock.advance(4)
    assert gate.seconds_left() == 6
    assert (gate.times_closed, gate.last_status) == (2, 429)
    clock.advance(6)
    assert gate.seconds_left() == 0


def test_backoff_is_immediate_then_jittered_below_a_doubling_ceiling() -> None:
    class Highest(random.Random):
        def uniform(self, a: float, b: float) -> float:
            assert a == 0
            return b

    backoff = Backoff(rng=Highest())
    assert [backoff.next_delay() for _ in range(9)] == [0, 1, 2, 4, 8, 16, 30, 30, 30]
    backoff.reset()
    assert [backoff.next_delay() for _ in range(2)] == [0, 1]
    jittered = Backoff()
    delays = [jittered.next_delay() for _ in range(40)][10:]
    assert len(set(delays)) == 30
    assert 0 <= min(delays) < max(delays) <= 30


def test_attempts_within_the_window_are_limited() -> None:
    clock = ManualClock()
    attempts = AttemptBudget(clock, limit=3, window=300)
    for _ in range(3):
        assert attempts.seconds_to_wait() == 0
        attempts.spend()
        clock.advance(10)
    assert attempts.seconds_to_wait() == 270
    clock.advance(270)
    assert attempts.seconds_to_wait() == 0
    attempts.spend()
    assert attempts.seconds_to_wait() == 10
