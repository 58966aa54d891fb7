"""The restart rules, each row a story of starts (S) and ends (E) on a clock that moves only when told to."""

from __future__ import annotations

import pytest

from include.runtime.clock import ManualClock
from include.services.supervision import RestartBudget, RestartDecision, RestartHistory, decide

BUDGET = RestartBudget(starts=5, window_seconds=60, cooldown_seconds=90)
NOW, BACKOFF, COOLDOWN, EXHAUSTED = (
    RestartDecision.RESTART_NOW,
    RestartDecision.WAIT_BACKOFF,
    RestartDecision.WAIT_COOLDOWN,
    RestartDecision.BUDGET_EXHAUSTED,
)


def _play(story: str) -> tuple[RestartHistory, int]:
    """``S`` start, ``E`` end, ``G`` gave up, a number: so many seconds pass."""
    history, clock = RestartHistory(), ManualClock()
    for word in story.split():
        match word:
            case "S":
                history = history.started(clock.time_ms())
            case "E":
                history = history.ended(clock.time_ms(), BUDGET)
            case "G":
                history = history.gave_up(clock.time_ms())
            case seconds:
                clock.advance(float(seconds))
    return history, clock.time_ms()


@pytest.mark.parametrize(
    ("story", "decision", "wait", "starts"),
    [
        ("", NOW, 0, 0),  # nothing ever ran
        ("S 600 E", NOW, 0, 0),  # after a long life
        ("S 1 E", NOW, 0, 1),  # the first restart is immediate
        ("S 1 E S 1 E", BACKOFF, 0.5, 2),
        ("S 1 E S 1 E 0.2", BACKOFF, 0.3, 2),  # the back-off counts from the end
        ("S 1 E S 1 E 0.5", NOW, 0, 2),
        ("S 1 E S 1 E S 1 E", BACKOFF, 1, 3),  # and doubles
        ("S 1 E S 1 E S 1 E S 1 E", BACKOFF, 2, 4),
        ("S 1 E S 1 E S 1 E S 1 E S 1 E", EXHAUSTED, 90, 5),
        ("S 1 E S 1 E S 1 E S 1 E S 59.9 E", NOW, 0, 1),  # the first four have left the window
        ("S 1 E S 1 E S 1 E S 1 E S 60 E", NOW, 0, 0),  # a healthy life wipes the slate
        ("S 14 E S 14 E S 14 E S 14 E S 3 E", EXHAUSTED, 90, 5),  # five within 59 s
        ("S 16 E S 16 E S 16 E S 16 E S 16 E", BACKOFF, 1, 3),  # slower: the early ones have left the window
        ("S 1 E S 1 E S 1 E S 1 E S 1 E G", COOLDOWN, 90, 0),
        ("S 1 E S 1 E S 1 E S 1 E S 1 E G 30", COOLDOWN, 60, 0),
        ("S 1 E S 1 E S 1 E S 1 E S 1 E G 90", NOW, 0, 0),  # one try after the cooldown …
        ("S 1 E S 1 E S 1 E S 1 E S 1 E G 90 S 1 E", EXHAUSTED, 90, 1),  # … and no second one
        ("S 1 E S 1 E S 1 E S 1 E S 1 E G 90 S 1 E G", COOLDOWN, 90, 0),
        ("S 1 E S 1 E S 1 E S 1 E S 1 E G 90 S 61 E", NOW, 0, 0),  # the try was healthy: all forgotten
        ("S 1 E S 1 E -3600", NOW, 0, 0),  # clock set back by an hour: nothing waits for an hour
    ],
)
def test_decision(story: str, decision: RestartDecision, wait: float, starts: int) -> None:
    history, now_ms = _play(story)
    verdict = decide(history, BUDGET, now_ms)
    assert (verdict.decision, verdict.wait_seconds, verdict.starts) == (decision, pytest.approx(wait), starts)
