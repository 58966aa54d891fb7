"""Whether the time lag grows: on the lower envelope, in seconds, minutes and hours at once.

A window of one length sees either a sudden growth or a slow one. Dips (a garbage collection that ends, a quiet
minute) hide a slow growth from rules that look for a rise in each sample; the minima of longer intervals do not have
them.
"""

from __future__ import annotations

from include.health.trend import NO_TREND, Envelope, Trend

_FACTORS = (1, 8, 64)  # lengths of the intervals
_MORE_POINTS = 4  # than the test needs at least
_NEGLIGIBLE_SECONDS = 2.0  # growth over the window that is not worth a word


class LagTrend:
    """``interval``: seconds of the shortest intervals, at least two looks long. Growth is at least ``points`` minima
    with p below ``p``.
    """

    def __init__(self, *, interval: float, points: int, p: float) -> None:
        self._points, self._p, self._interval = points, p, interval
        self._envelopes = [Envelope(interval * factor, points + _MORE_POINTS) for factor in _FACTORS]
        self._shortest, *self._longer = self._envelopes
        self._growth: Trend | None = None
        self._asked = False
        self.newest = 0.0  # minimum of the last whole interval

    def add(self, at: float, seconds: float) -> None:
        """Take a sample of the time lag."""
        least = self._shortest.add(at, seconds)
        if least is not None:
            self.newest, self._growth, self._asked = least, None, False
            for envelope in self._longer:
                envelope.add(at - self._interval, least)

    @property
    def growth(self) -> Trend | None:
        """The fastest significant growth, if there is any. Worked out when asked for."""
        if not self._asked:
            trends = [trend for trend in map(self._significant, self._envelopes) if trend is not None]
            self._growth, self._asked = max(trends, default=None), True
        return self._growth

    def clear(self) -> None:
        """Forget everything."""
        for envelope in self._envelopes:
            envelope.clear()
        self._growth, self._asked = None, False

    def _significant(self, envelope: Envelope) -> Trend | None:
        window = envelope.window
        trend = window.trend() if len(window) >= self._points else NO_TREND
        grown = trend.slope * envelope.seconds * trend.points
        return trend if trend.p < self._p and grown > _NEGLIGIBLE_SECONDS else None
