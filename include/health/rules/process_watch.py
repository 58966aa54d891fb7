"""One service as the process host tells of it, over time: alive, gone, held, or back with another pid."""

from __future__ import annotations

from collections import deque
from enum import StrEnum

from include.health.config import DetectorConfig
from include.health.observations import Observation, ProcessesFacts, ProcessFacts

_GONE = frozenset({"exited", "fatal", "backoff"})
_ALIVE = frozenset({"running", "starting"})
_LOOP_STARTS, _LOOP_SECONDS = 4, 60.0


class Life(StrEnum):
    """What a service's process is doing."""

    UNSEEN = "unseen"  # no word of it yet, or the host does not know
    ALIVE = "alive"
    GONE = "gone"  # ended on its own
    HELD = "held"  # stopped because somebody asked for it, or never started


class ProcessWatch:
    """Follows one service. ``changed_at``: when ``life`` began to be what it is. ``pid``: of the newest process;
    ``exit_code``: of the last one that ended. ``restarted_at``: when another pid than before was seen first (0: never);
    ``restarted_on_request``: whether it had been held before that.
    """

    def __init__(self, service: str, config: DetectorConfig) -> None:
        self.service = service
        self._start_seconds, self._record_seconds = config.start_seconds, config.record_seconds
        self._last: ProcessFacts | None = None
        self._starts: deque[float] = deque(maxlen=_LOOP_STARTS)
        self._was_held = self.has_served = False
        self.life, self.changed_at = Life.UNSEEN, 0.0
        self.pid: int | None = None
        self.exit_code: int | None = None
        self.never_started = False
        self.restarted_at, self.restarted_on_request = 0.0, False

    def observe(self, at: float, observation: Observation) -> bool:
        """Take an observation of ``PROCESSES``; whether anything changed."""
        facts = observation.facts
        if not isinstance(facts, ProcessesFacts):
            return False
        now = facts.services.get(self.service)
        last, self._last = self._last, now
        if now is last or now is None or (last is not None and now.state == last.state and now.pid == last.pid):
            return False
        if now.exit_code is not None:
            self.exit_code = now.exit_code
        self._follow(at, now)
        return True

    def starting(self, at: float) -> bool:
        """It was started a short while ago and has not served yet, so that it need not answer; not in a crash loop."""
        if self.has_served or self.life is not Life.ALIVE or not self._starts or self.looping(at):
            return False
        return at - self._starts[-1] < self._start_seconds

    def served(self) -> None:
        """The present process has answered."""
        self.has_served = self.life is Life.ALIVE

    def accounted(self) -> None:
        """Its restart belongs to a trouble that is told of already: no record of its own."""
        self.restarted_at = 0.0

    @property
    def ending(self) -> str:
        """How the last process ended, in words."""
        if self.exit_code is None:
            return "its process has ended"
        return f"its process ended with exit code {self.exit_code}"

    def healed(self, at: float) -> bool:
        """It was replaced by another process a moment ago, and lives."""
        return self.life is Life.ALIVE and bool(self.restarted_at) and at - self.restarted_at < self._record_seconds

    def looping(self, at: float) -> bool:
        """It was started again and again within a minute."""
        return len(self._starts) == _LOOP_STARTS and at - self._starts[0] < _LOOP_SECONDS

    def _follow(self, at: float, now: ProcessFacts) -> None:
        life = _life(now)
        if life is Life.HELD:
            self._was_held, self.never_started = True, not now.on_request
        if now.pid is not None and life is Life.ALIVE and now.pid != self.pid:
            if self.pid is not None:
                self._starts.append(at)
                self.restarted_at, self.restarted_on_request = at, self._was_held
            elif self._was_held or (now.age_seconds is not None and now.age_seconds < self._start_seconds):
                self._starts.append(at - (now.age_seconds or 0.0))
            self.pid, self._was_held, self.has_served = now.pid, False, False
        if life is not self.life:
            self.life, self.changed_at = life, at


def _life(facts: ProcessFacts) -> Life:
    if facts.on_request or facts.state in ("stopped", "stopping"):
        return Life.HELD
    if facts.state in _ALIVE:
        return Life.ALIVE
    return Life.GONE if facts.state in _GONE else Life.UNSEEN
