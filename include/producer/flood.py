"""A stray invalid frame is kept; a flood of them is a state of its own, not an endless stream of dead letters."""

from __future__ import annotations

from collections import deque
from enum import StrEnum

from include.runtime.clock import Clock

WINDOW_SECONDS = 10
_FEWEST_FOR_SHARE = 100  # frames in the window before a share means anything
_FEWEST_FOR_ALL = 20  # … unless every single one is invalid
_STORED_AT_FIRST = 100
_SAMPLE_SECONDS = 1.0


class FloodState(StrEnum):
    """Normal, or most recently too many invalid frames."""

    NORMAL = "normal"
    FLOOD = "flood"


class Storing(StrEnum):
    """What to do with one invalid frame."""

    STORE = "store"
    SAMPLE = "sample"  # stored, as one of many that are not
    COUNT_ONLY = "count_only"


class FloodDetector:
    """Counts frames in buckets of a second over :data:`WINDOW_SECONDS`.

    Enters FLOOD when more than ``ratio`` of at least 100 frames are invalid, or all of at least 20. Leaves by a
    stricter rule: less than half of ``ratio`` over a whole window in which there were frames.
    ``valid`` is counted up by the caller directly (the hot path); invalid frames go through :meth:`invalid_frame`.
    """

    def __init__(self, clock: Clock, ratio: float) -> None:
        self._clock, self._ratio = clock, ratio
        self.state = FloodState.NORMAL
        self.valid = 0
        self._invalid = 0
        self._valid_closed = 0
        self._buckets: deque[tuple[float, int, int]] = deque()  # (closed at, valid, invalid)
        self._bucket_since = self._entered = clock.monotonic()
        self._last_sample = 0.0
        self._stored_in_flood = 0
        self.invalid_total = self.not_stored = self.floods = 0

    def invalid_frame(self) -> Storing:
        """Count one invalid frame and say whether to store it."""
        self._invalid += 1
        self.invalid_total += 1
        self.refresh()
        if self.state is FloodState.NORMAL:
            return Storing.STORE
        now = self._clock.monotonic()
        if self._stored_in_flood < _STORED_AT_FIRST:
            self._stored_in_flood += 1
            self._last_sample = now
            return Storing.STORE
        if now - self._last_sample >= _SAMPLE_SECONDS:
            self._last_sample = now
            return Storing.SAMPLE
        self.not_stored += 1
        return Storing.COUNT_ONLY

    def refresh(self) -> FloodState:
        """Let time pass; call it at least once a second."""
        now = self._clock.monotonic()
        if now - self._bucket_since >= 1.0:
            self._buckets.append((now, self.valid - self._valid_closed, self._invalid))
            self._valid_closed, self._invalid, self._bucket_since = self.valid, 0, now
        while self._buckets and self._buckets[0][0] <= now - WINDOW_SECONDS:
            self._buckets.popleft()
        valid, invalid = self.counts()
        if self.state is FloodState.NORMAL:
            if self._floods(valid, invalid):
                self.state, self._entered = FloodState.FLOOD, now
                self._stored_in_flood = 0
                self.floods += 1
        elif now - self._entered >= WINDOW_SECONDS and invalid < self._ratio / 2 * (valid + invalid):
            self.state = FloodState.NORMAL
        return self.state

    def counts(self) -> tuple[int, int]:
        """Valid and invalid frames in the window; may be called from any thread."""
        buckets = tuple(self._buckets)
        valid = sum(bucket[1] for bucket in buckets) + self.valid - self._valid_closed
        return valid, sum(bucket[2] for bucket in buckets) + self._invalid

    def _floods(self, valid: int, invalid: int) -> bool:
        frames = valid + invalid
        return (frames >= _FEWEST_FOR_SHARE and invalid > self._ratio * frames) or (
            valid == 0 and invalid >= _FEWEST_FOR_ALL
        )
