"""Does a short series grow, and how fast? Mann-Kendall's test says whether, Theil and Sen's slope says how fast.

Both look at signs and medians of pairs, so one outlier or a dip does not decide (detection §3, lag). Made for 6 to 60
points of a sliding window, and worked out only when asked for.
The test supposes points that are independent of one another, which minima of intervals (:class:`Envelope`) nearly are.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

_LONGEST_GAP = 3  # intervals without a sample, after which what was before belongs to another series
_LARGEST_EXACT = 10  # up to here the distribution is counted out, beyond it the normal one is near enough


class Trend(NamedTuple):
    """``slope``: value per second. ``p``: chance to see so much growth in a series that has none. ``points``: seen."""

    slope: float
    p: float
    points: int


NO_TREND = Trend(0.0, 1.0, 0)


class TrendWindow:
    """The newest ``size`` points of a series, in order of time. Points cost next to nothing, the question costs one
    look at all pairs, and is remembered until the next point.
    """

    def __init__(self, size: int) -> None:
        self._points: deque[tuple[float, float]] = deque(maxlen=size)
        self._trend: Trend | None = NO_TREND

    def __len__(self) -> int:
        return len(self._points)

    def add(self, at: float, value: float) -> None:
        """Append a point; ``at`` must be later than all before."""
        self._points.append((at, value))
        self._trend = None

    def clear(self) -> None:
        """Forget everything: the series has been interrupted."""
        self._points.clear()
        self._trend = NO_TREND

    def trend(self) -> Trend:
        """Growth over the window."""
        if self._trend is None:
            values = [value for _, value in self._points]
            p = growth_chance(score(values), values)
            self._trend = Trend(theil_sen(tuple(self._points)), p, len(values))
        return self._trend


class Envelope:
    """The lower envelope of a series: its minimum in each interval of ``seconds``, whole intervals only.

    A consumer that works in micro-batches has a lag like a saw; only its minima tell whether it keeps up.
    """

    def __init__(self, seconds: float, size: int) -> None:
        self.seconds, self.window = seconds, TrendWindow(size)
        self._interval: int | None = None
        self._least = math.inf

    def add(self, at: float, value: float) -> float | None:
        """Take a sample; the minimum of an interval when this sample begins the next one."""
        interval = int(at // self.seconds)
        if interval == self._interval:
            self._least = min(self._least, value)
            return None
        finished = None if self._interval is None else self._least
        if finished is not None and self._interval is not None:
            if interval - self._interval > _LONGEST_GAP:
                self.window.clear()
            self.window.add(self._interval * self.seconds, finished)
        self._interval, self._least = interval, value
        return finished

    def clear(self) -> None:
        """Forget everything."""
        self._interval, self._least = None, math.inf
        self.window.clear()


def theil_sen(points: Sequence[tuple[float, float]]) -> float:
    """Median of the slopes of all pairs of ``(time, value)``, times in increasing order; 0 for fewer than 2 points."""
    slopes = sorted(
        (later[1] - earlier[1]) / (later[0] - earlier[0])
        for i, earlier in enumerate(points)
        for later in points[i + 1 :]
    )
    if not slopes:
        return 0.0
    middle = len(slopes) // 2
    return slopes[middle] if len(slopes) % 2 else (slopes[middle - 1] + slopes[middle]) / 2


def score(values: Sequence[float]) -> int:
    """Mann-Kendall's S: pairs of which the later value is larger, less those of which it is smaller."""
    pairs = ((earlier, later) for i, earlier in enumerate(values) for later in values[i + 1 :])
    return sum((later > earlier) - (later < earlier) for earlier, later in pairs)


def growth_chance(points: int, values: Sequence[float]) -> float:
    """One-sided p of Mann-Kendall's test for the :func:`score` ``points`` of these values.

    Without ties and for few points exactly, else by the normal distribution with correction for ties and continuity.
    """
    n = len(values)
    if points <= 0 or n < 2:
        return 1.0
    ties = [count for count in Counter(values).values() if count > 1]
    if n <= _LARGEST_EXACT and not ties:
        return _exact(n)[points]
    variance = (_pairs(n) - sum(_pairs(count) for count in ties)) / 18
    return 0.5 * math.erfc((points - 1) / math.sqrt(2 * variance))


def _pairs(n: int) -> int:
    return n * (n - 1) * (2 * n + 5)


@cache
def _exact(n: int) -> dict[int, float]:
    """P(S ≥ s) over all orders of ``n`` distinct values: S = pairs − 2 × inversions, and inversions can be counted."""
    ways = [1]
    for size in range(2, n + 1):
        longer = [0] * (len(ways) + size - 1)
        for inversions, count in enumerate(ways):
            for more in range(size):
                longer[inversions + more] += count
        ways = longer
    pairs, total, so_far = n * (n - 1) // 2, math.factorial(n), 0
    chances = {}
    for inversions, count in enumerate(ways):
        so_far += count
        chances[pairs - 2 * inversions] = so_far / total
    return chances
