"""What is normal for one figure: median and median absolute deviation over a trailing time, learned from itself.

Frozen while things are bad, so that an outage is not learned as normal (detection §1). Until enough is known
(``ready``) the rules use absolute limits instead.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque

_MOST_SAMPLES = 720  # an hour at one sample in 5 s: more would not move a median


class Baseline:
    """``window_seconds``: how far back it looks, in time during which it learned. ``fewest``: samples to be ready.

    Samples that come faster than the window can hold are thinned out evenly in time. Time without samples, or while
    frozen, does not age what is known: after a night of outage yesterday evening is still the measure.
    """

    def __init__(self, window_seconds: float = 3600.0, fewest: int = 30) -> None:
        self._window, self._fewest = window_seconds, fewest
        self._spacing = window_seconds / _MOST_SAMPLES
        self._longest_step = window_seconds / fewest
        self._samples: deque[tuple[float, float]] = deque()  # (own time, value)
        self._sorted: list[float] = []
        self._own_time, self._last_at, self._next_at = 0.0, 0.0, 0.0
        self._deviation: float | None = None
        self.frozen = False

    @property
    def ready(self) -> bool:
        """Whether enough is known to be compared with."""
        return len(self._sorted) >= self._fewest

    def add(self, at: float, value: float) -> None:
        """Learn one sample (seconds since the epoch; not earlier than the last one), unless frozen."""
        if self.frozen or (self._samples and at < self._next_at and self.ready):
            return
        self._own_time += min(max(at - self._last_at, 0.0), self._longest_step)
        self._last_at, self._next_at = at, at + self._spacing
        self._samples.append((self._own_time, value))
        insort(self._sorted, value)
        while self._samples[0][0] < self._own_time - self._window:
            del self._sorted[bisect_left(self._sorted, self._samples.popleft()[1])]
        self._deviation = None

    def quantile(self, share: float) -> float:
        """The value that ``share`` (0 to 1) of the samples do not exceed. Raises ``IndexError`` without samples."""
        return self._sorted[min(int(share * len(self._sorted)), len(self._sorted) - 1)]

    @property
    def median(self) -> float:
        """Middle sample (the upper one of two). Raises ``IndexError`` without samples."""
        return self._sorted[len(self._sorted) // 2]

    @property
    def deviation(self) -> float:
        """Median absolute deviation from the median. Raises ``IndexError`` without samples."""
        if self._deviation is None:
            self._deviation = _median_deviation(self._sorted)
        return self._deviation


def _median_deviation(ordered: list[float]) -> float:
    """Of sorted values in one pass of half their number: deviations grow from the median to both sides."""
    middle = len(ordered) // 2
    median, left, right = ordered[middle], middle - 1, middle + 1
    deviation = 0.0
    for _ in range(len(ordered) // 2):
        below = median - ordered[left] if left >= 0 else float("inf")
        above = ordered[right] - median if right < len(ordered) else float("inf")
        if below <= above:
            deviation, left = below, left - 1
        else:
            deviation, right = above, right + 1
    return deviation
