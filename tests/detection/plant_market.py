"""The simulated exchange: trades by symbol along a curve of the day, a stream and a REST side that can fail."""

from __future__ import annotations

import math
import random
from enum import StrEnum

from include.health.observations import Code

SYMBOLS = ("BTCUSDT", "ETHUSDT")
_BASE_RATES = (14.0, 6.0)  # trades per second, mean of a day
_FIRST_IDS = (4_000_000_000, 2_000_000_000)
_NOISE = 1_021  # a prime: the two symbols meet the same pair of factors only after a long time


class Stream(StrEnum):
    """What a stream connection brings."""

    OK = "ok"
    SILENT = "silent"  # pings are answered, trades do not come
    CLOSED = "closed"  # no connection can be made
    GARBAGE = "garbage"  # frames of a form that nobody knows


class Market:
    """``ids``: newest trade by symbol. ``traded_at``: when any symbol traded last. ``quiet``: nothing is traded at all.
    ``surge``: factor by symbol on top of the day's curve. ``rest``: how REST fails, ``None`` while it answers.
    """

    def __init__(self, rng: random.Random, *, quiet_minutes: bool = True) -> None:
        self._rng, self._quiet_minutes = rng, quiet_minutes
        self.ids = list(_FIRST_IDS)
        self.first_ids = _FIRST_IDS
        self.surge = [1.0, 1.0]
        self.quiet = False
        self.curve = True  # whether the rate follows the hours of the day and changes from minute to minute
        self.stream = Stream.OK
        self.rest: Code | None = None
        self.retry_after_until = 0.0
        self.traded_at = 0.0
        noise = [min(3.0, rng.lognormvariate(0.0, 0.35)) for _ in range(_NOISE)]
        mean = sum(noise) / _NOISE
        self._noise = [factor / mean for factor in noise]
        self._left = [0.5, 0.5]
        self._rates = [0.0, 0.0]
        self._minute = -1
        self._thin = 0
        self._step = rng.randrange(_NOISE)

    def rate(self) -> float:
        """Trades per second now, without the noise."""
        return self._rates[0] * self.surge[0] + self._rates[1] * self.surge[1]

    def step(self, now: float) -> None:
        """One second of trading."""
        minute = int(now) // 60
        if minute != self._minute:
            self._minute = minute
            self._new_minute(now)
        if self.quiet:
            return
        self._step = step = (self._step + 1) % _NOISE
        noise, left, rates, surge, ids = self._noise, self._left, self._rates, self.surge, self.ids
        first = left[0] + rates[0] * surge[0] * noise[step]
        second = left[1] + rates[1] * surge[1] * noise[-step]
        count, other = int(first), int(second)
        left[0], left[1] = first - count, second - other
        if count or other:
            ids[0] += count
            ids[1] += other
            self.traded_at = now

    def _new_minute(self, now: float) -> None:
        hour = now % 86_400 / 3_600
        day = 1.0 + 0.6 * math.sin((hour - 9) / 24 * 2 * math.pi) if self.curve else 1.0
        self._thin = max(0, self._thin - 1)
        if self._quiet_minutes and hour < 6 and self._rng.random() < 0.015:
            self._thin = self._rng.choice((1, 1, 2, 3))  # minutes in which hardly anything is traded
        spread = 0.2 if self.curve else 0.02
        for index, base in enumerate(_BASE_RATES):
            self._rates[index] = base * day * (0.001 if self._thin else self._rng.uniform(1 - spread, 1 + spread))
