"""Whether an operation has become slow: beyond a fixed limit and far beyond its own normal, two windows running."""

from __future__ import annotations

from include.health.baseline import Baseline
from include.health.signals import Signal

_FEWEST = 10  # samples in a window that can be judged
_WINDOWS = 2  # in a row, to be slow and to be quick again
_KNOWN_WINDOWS = 10  # before its own normal is known


class RoundTrips:
    """Round trips of one operation. A window is slow if its 95th percentile exceeds ``limit`` seconds and ``factor``
    times the usual median; as long as that is unknown (a cold start), twice ``limit``. What is slow is not learned.
    """

    def __init__(self, *, limit: float, factor: float, window_seconds: float) -> None:
        self._limit, self._factor, self._window_seconds = limit, factor, window_seconds
        self._samples: list[float] = []
        self._ends_at = 0.0
        self._usual = Baseline(fewest=_KNOWN_WINDOWS)
        self.signal = Signal(_WINDOWS, _WINDOWS)
        self.median, self.p95 = 0.0, 0.0  # of the last full window

    def add(self, at: float, seconds: float) -> bool:
        """Take one round trip; whether the signal changed."""
        self._samples.append(seconds)
        if at < self._ends_at:
            return False
        began, self._ends_at = self._ends_at, at + self._window_seconds
        samples, self._samples = sorted(self._samples), []
        if not began or len(samples) < _FEWEST:
            return False
        self.median, self.p95 = samples[len(samples) // 2], samples[int(0.95 * (len(samples) - 1))]
        changed = self.signal.sample(at, self.p95 > self._bound())
        if self.signal.onset == 0.0:
            self._usual.add(at, self.median)
        return changed

    def interrupted(self) -> None:
        """Nobody looked for a while: begin a new window."""
        self._samples, self._ends_at = [], 0.0
        self.signal.interrupted()

    def _bound(self) -> float:
        return max(self._limit, self._factor * self._usual.median) if self._usual.ready else 2 * self._limit
