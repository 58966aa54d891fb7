"""The processes of the simulated plant, and the real supervision rules that bring two of them back."""

from __future__ import annotations

import itertools
import random

from include.health.observations import ProcessFacts
from include.services.supervision import RestartBudget, RestartDecision, RestartHistory, decide

_BUDGET = RestartBudget(starts=5, window_seconds=60.0, cooldown_seconds=60.0)  # the settings' defaults
_START_SECONDS = 1.0  # a process host calls a process running after that long
_PIDS = itertools.count(2_000)


class Process:
    """One process. ``boot_seconds``: from its start to its first answer. ``answers`` is kept by :meth:`step`."""

    def __init__(
        self, name: str, boot_seconds: float, rng: random.Random, *, supervised: bool = False, age: float = 7_200.0
    ) -> None:
        self.name, self.boot_seconds, self.supervised, self._rng = name, boot_seconds, supervised, rng
        self.age_at_begin = age
        self.alive, self.answers, self.hung, self.on_request = False, False, False, False
        self.supervision_paused = False
        self.dies_after: float | None = None  # seconds after each start, with exit code 1
        self.never_started = True
        self.pid, self.exit_code = 0, None
        self.started_at = self.serving_at = 0.0
        self._history = RestartHistory()
        self.starts = 0
        self._restart_after = 0.0

    def begin(self, now: float) -> None:
        """It has been running since long before the story."""
        self._come_alive(now - self.age_at_begin)
        self._history = RestartHistory(starts_ms=(round(self.started_at * 1000),))
        self.step(now)

    def start(self, now: float) -> None:
        """By whoever may start it."""
        if not self.alive:
            self.on_request = False
            self._come_alive(now)
            self._history = self._history.started(round(now * 1000))

    def end(self, now: float, exit_code: int) -> None:
        """It ends on its own, or somebody's signal ends it."""
        if self.alive:
            self.alive = self.answers = self.hung = False
            self.exit_code = exit_code
            self._history = self._history.ended(round(now * 1000), _BUDGET)
            self._restart_after = now if self._rng.random() < 0.5 else now + 0.5  # before the next look, or after it

    def stop(self, now: float) -> None:
        """On request: supervision respects it."""
        self.end(now, 0)
        self.on_request = True

    def step(self, now: float) -> None:
        """Let time pass."""
        if not self.alive:
            self._supervise(now)
        elif self.dies_after is not None and now - self.started_at >= self.dies_after:
            self.end(now, 1)
        self.answers = self.alive and not self.hung and now >= self.serving_at

    def settled(self, now: float) -> bool:
        """Nothing about it will change by itself, and its age needs no exact word."""
        return self.answers and self.dies_after is None and now - self.started_at > 120.0

    def facts(self, now: float) -> ProcessFacts:
        """As the process host tells of it."""
        if not self.alive:
            if self.never_started:
                return ProcessFacts(state="stopped")
            state = "stopped" if self.on_request else "exited"
            return ProcessFacts(state=state, exit_code=self.exit_code, on_request=self.on_request)
        age = now - self.started_at
        return ProcessFacts(state="running" if age >= _START_SECONDS else "starting", pid=self.pid, age_seconds=age)

    def _come_alive(self, at: float) -> None:
        self.alive, self.never_started, self.hung = True, False, False
        self.pid, self.started_at, self.serving_at = next(_PIDS), at, at + self.boot_seconds
        self.starts += 1

    def _supervise(self, now: float) -> None:
        if not self.supervised or self.supervision_paused or self.on_request or now < self._restart_after:
            return
        verdict = decide(self._history, _BUDGET, round(now * 1000))
        if verdict.decision is RestartDecision.RESTART_NOW:
            self.start(now)
        elif verdict.decision is RestartDecision.BUDGET_EXHAUSTED:
            self._history = self._history.gave_up(round(now * 1000))
