"""The rules of supervision, pure: when may a process that ended be started again?

- The first restart comes at once, the following ones after a back-off that doubles.
- ``budget.starts`` starts within ``budget.window_seconds`` exhaust the budget: supervision gives up.
- Afterwards it rests for ``budget.cooldown_seconds``, then makes one try; if that fails too, it gives up again.
- A process that lived for ``budget.window_seconds`` was healthy: everything before is forgotten.

Times are wall-clock milliseconds, because the history outlives processes (see ``supervision_store``).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from include.settings import Settings

_FIRST_BACKOFF_SECONDS = 0.5
_LONGEST_BACKOFF_SECONDS = 30.0


class RestartDecision(StrEnum):
    """What to do about a process that does not run."""

    RESTART_NOW = "restart_now"
    WAIT_BACKOFF = "wait_backoff"  # it died again soon after a start
    WAIT_COOLDOWN = "wait_cooldown"  # the budget was exhausted a short while ago
    BUDGET_EXHAUSTED = "budget_exhausted"  # give up


@dataclass(frozen=True, slots=True)
class Verdict:
    """A decision and its figures: ``wait_seconds`` from now until the next try, ``starts`` counted so far."""

    decision: RestartDecision
    wait_seconds: float
    starts: int


@dataclass(frozen=True, slots=True)
class RestartBudget:
    """How many starts within how long, and the rest afterwards."""

    starts: int
    window_seconds: float
    cooldown_seconds: float

    @classmethod
    def from_settings(cls, settings: Settings) -> RestartBudget:
        """The settings ``restart_budget``, ``restart_budget_seconds`` and ``restart_cooldown_seconds``."""
        return cls(settings.restart_budget, settings.restart_budget_seconds, settings.restart_cooldown_seconds)


@dataclass(frozen=True, slots=True)
class RestartHistory:
    """What happened to one process since it was last healthy; each change gives a new history."""

    starts_ms: tuple[int, ...] = ()
    last_exit_ms: int | None = None
    exhausted_ms: int | None = None

    def started(self, now_ms: int) -> RestartHistory:
        """The process was started."""
        return replace(self, starts_ms=(*self.starts_ms, now_ms))

    def ended(self, now_ms: int, budget: RestartBudget) -> RestartHistory:
        """The process ended; a life as long as the window wipes the slate."""
        if self.starts_ms and now_ms - self.starts_ms[-1] >= budget.window_seconds * 1000:
            return RestartHistory(last_exit_ms=now_ms)
        return replace(self, last_exit_ms=now_ms)

    def gave_up(self, now_ms: int) -> RestartHistory:
        """The budget was found exhausted."""
        return replace(self, exhausted_ms=now_ms)


def decide(history: RestartHistory, budget: RestartBudget, now_ms: int) -> Verdict:
    """What to do now about a process that does not run."""
    if history.exhausted_ms is not None:
        return _after_exhaustion(history, history.exhausted_ms, budget, now_ms)
    # A clock that was set back must not make old starts count for ever: those "in the future" are dropped.
    recent = [s for s in history.starts_ms if 0 <= now_ms - s < budget.window_seconds * 1000]
    if len(recent) >= budget.starts:
        return Verdict(RestartDecision.BUDGET_EXHAUSTED, budget.cooldown_seconds, len(recent))
    wait = _left(history.last_exit_ms, _backoff_seconds(len(recent)), now_ms)
    kind = RestartDecision.WAIT_BACKOFF if wait > 0 else RestartDecision.RESTART_NOW
    return Verdict(kind, wait, len(recent))


def _after_exhaustion(history: RestartHistory, exhausted_ms: int, budget: RestartBudget, now_ms: int) -> Verdict:
    tries = [s for s in history.starts_ms if s > exhausted_ms]
    if tries:
        return Verdict(RestartDecision.BUDGET_EXHAUSTED, budget.cooldown_seconds, len(tries))
    wait = _left(exhausted_ms, budget.cooldown_seconds, now_ms)
    return Verdict(RestartDecision.WAIT_COOLDOWN if wait > 0 else RestartDecision.RESTART_NOW, wait, 0)


def _backoff_seconds(starts: int) -> float:
    """0 for the start after a healthy life and for the first restart, then 0.5, 1, 2 … 30 s."""
    return 0.0 if starts <= 1 else min(_FIRST_BACKOFF_SECONDS * 2 ** (starts - 2), _LONGEST_BACKOFF_SECONDS)


def _left(since_ms: int | None, seconds: float, now_ms: int) -> float:
    """How much of ``seconds`` after ``since_ms`` is still to come; never more than the whole."""
    if since_ms is None:
        return 0.0
    return min(max(seconds - (now_ms - since_ms) / 1000, 0.0), seconds)
