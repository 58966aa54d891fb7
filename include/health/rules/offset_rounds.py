"""What the rounds of offsets say over time: how many records wait, for how long, how fast they come and go.

A round in which a partition ends before what is committed, or whose leader has just changed, is no measurement: the
answer of a broker with old metadata would look like lag, or like none.
"""

from __future__ import annotations

import math
from collections import deque
from typing import NamedTuple

from include.health.observations import OffsetsFacts

_NEW_LEADER_SECONDS = 10.0
_LONGEST_GAP_SECONDS = 15.0  # without a round; what was before does not make a rate with what comes after
_FEWEST_SECONDS = 10.0  # for a rate


class Round(NamedTuple):
    """One valid round. ``end`` and ``committed``: sums over the partitions; ``waiting`` (seconds) and ``lags``: by
    partition. ``deleted``: records lost to retention before they were read.
    """

    at: float
    end: int
    committed: int
    waiting: dict[int, float]
    lags: dict[int, int]
    deleted: int

    @property
    def lag(self) -> int:
        """Records that wait."""
        return self.end - self.committed


class OffsetRounds:
    """The rounds of the last ``seconds``."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._rounds: deque[tuple[float, int, int]] = deque()
        self._epochs: dict[int, int | None] = {}
        self._new_leader_at = float("-inf")
        self.committed_at = self.end_at = 0.0  # when each was last seen moving
        self.newest: Round | None = None
        self.retention_seconds = math.inf

    def take(self, at: float, facts: OffsetsFacts) -> Round | None:
        """The round, if it is a measurement."""
        end = committed = deleted = 0
        waiting: dict[int, float] = {}
        lags: dict[int, int] = {}
        for partition, own in facts.partitions.items():
            if own.leader_epoch != self._epochs.get(partition, own.leader_epoch):
                self._new_leader_at = at
            self._epochs[partition] = own.leader_epoch
            if own.committed is None and own.waiting_seconds is None:  # nobody has begun to read it
                continue
            read = own.start if own.committed is None else own.committed
            if own.end < read or (own.waiting_seconds is None and own.end > read):
                return None
            end += own.end
            committed += read
            deleted += max(0, own.start - read)
            waiting[partition] = own.waiting_seconds or 0.0
            lags[partition] = own.end - read
        if at - self._new_leader_at < _NEW_LEADER_SECONDS:
            return None
        self.retention_seconds = facts.retention_seconds
        return self._keep(Round(at, end, committed, waiting, lags, deleted))

    @property
    def known(self) -> bool:
        """Whether there are rounds over a time long enough for rates."""
        return len(self._rounds) > 2 and self._rounds[-1][0] - self._rounds[0][0] >= _FEWEST_SECONDS

    def rates(self) -> tuple[float, float]:
        """Records that come, and records that are finished, per second over the window; (0, 0) while unknown."""
        if len(self._rounds) < 2:
            return 0.0, 0.0
        (began, end, committed), (now, new_end, new_committed) = self._rounds[0], self._rounds[-1]
        return (new_end - end) / (now - began), (new_committed - committed) / (now - began)

    def drain_seconds(self, incoming: float, finished: float) -> float:
        """How long the present lag would take at these rates; infinite if it does not shrink."""
        lag = self.newest.lag if self.newest is not None else 0
        if lag == 0:
            return 0.0
        return lag / (finished - incoming) if finished > incoming else math.inf

    def interrupted(self) -> None:
        """Nobody looked for a while."""
        self._rounds.clear()
        self.committed_at = self.end_at = 0.0
        self.newest = None

    def _keep(self, new: Round) -> Round:
        if self.newest is not None and new.at - self.newest.at > _LONGEST_GAP_SECONDS:
            self.interrupted()
        last = self.newest
        if last is None or new.committed != last.committed:
            self.committed_at = new.at
        if last is None or new.end != last.end:
            self.end_at = new.at
        if last is not None and (new.end < last.end or new.committed < last.committed):  # another topic or group
            self._rounds.clear()
        self.newest = new
        self._rounds.append((new.at, new.end, new.committed))
        while self._rounds[0][0] < new.at - self._seconds:
            self._rounds.popleft()
        return new
