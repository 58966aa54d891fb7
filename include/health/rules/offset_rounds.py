"""What the rounds of offsets say over time: how many records wait, for how long, how fast they come and go.

A round in which a partition ends before what is committed, or whose leader has just changed, is no measurement: the
answer of a broker with old metadata would look like lag, or like none.
"""

from __future__ import annotations

import math
from collections import deque

from include.health.observations import OffsetsFacts, PartitionFacts

_NEW_LEADER_SECONDS = 10.0
_LONGEST_GAP_SECONDS = 15.0  # without a round; what was before does not make a rate with what comes after
_FEWEST_SECONDS = 10.0  # for a rate


class OffsetRounds:
    """The rounds of the last ``seconds``. Of the newest valid one: ``at``; ``end`` and ``committed``, sums over the
    partitions that are read; ``waiting``, seconds of the oldest unread record; ``deleted``, records that retention has
    taken before they were read. ``committed_at``: when commits were last seen moving.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._rounds: deque[tuple[float, int, int]] = deque()
        self._epochs: dict[int, int] = {}
        self._new_leader_at = -math.inf
        self._facts: OffsetsFacts | None = None
        self.at = 0.0
        self.committed_at = 0.0
        self.end = self.committed = self.deleted = 0
        self.waiting = 0.0
        self.retention_seconds = math.inf

    def take(self, at: float, facts: OffsetsFacts) -> bool:
        """Take a round; whether it is a measurement."""
        end = committed = deleted = 0
        waiting = 0.0
        for partition, own in facts.partitions.items():
            if own.leader_epoch is not None:
                self._lead(at, partition, own.leader_epoch)
            read, seconds = own.committed, own.waiting_seconds
            if read is None:
                if seconds is None:  # nobody has begun to read it
                    continue
                read = own.start
            elif read < own.start:
                deleted += own.start - read
            if own.end < read or (seconds is None and own.end > read):
                return False
            end += own.end
            committed += read
            if seconds is not None and seconds > waiting:
                waiting = seconds
        if at - self._new_leader_at < _NEW_LEADER_SECONDS:
            return False
        self._facts, self.retention_seconds = facts, facts.retention_seconds
        self.waiting, self.deleted = waiting, deleted
        self._keep(at, end, committed)
        return True

    @property
    def lag(self) -> int:
        """Records that wait."""
        return self.end - self.committed

    @property
    def known(self) -> bool:
        """Whether there are rounds over a time long enough for rates."""
        return len(self._rounds) > 2 and self._rounds[-1][0] - self._rounds[0][0] >= _FEWEST_SECONDS

    def rates(self, seconds: float = math.inf) -> tuple[float, float]:
        """Records that come, and records that are finished, per second, over the window or its last ``seconds``;
        (0, 0) while unknown.
        """
        rounds = self._rounds
        if len(rounds) < 2:
            return 0.0, 0.0
        began, end, committed = rounds[0]
        if self.at - began > seconds:
            began, end, committed = next(each for each in rounds if self.at - each[0] <= seconds)
        past = self.at - began
        return ((self.end - end) / past, (self.committed - committed) / past) if past > 0 else (0.0, 0.0)

    def drain_seconds(self, seconds: float = math.inf) -> float:
        """How long the present lag would take at the rates of the last ``seconds``; infinite if it does not shrink."""
        if self.lag == 0:
            return 0.0
        incoming, finished = self.rates(seconds)
        return self.lag / (finished - incoming) if finished > incoming else math.inf

    def partitions(self) -> dict[int, PartitionFacts]:
        """Of the newest round."""
        return {} if self._facts is None else self._facts.partitions

    def interrupted(self) -> None:
        """Nobody looked for a while."""
        self._rounds.clear()
        self._facts = None
        self.at = self.committed_at = 0.0

    def _lead(self, at: float, partition: int, epoch: int) -> None:
        if self._epochs.get(partition, epoch) != epoch:
            self._new_leader_at = at
        self._epochs[partition] = epoch

    def _keep(self, at: float, end: int, committed: int) -> None:
        rounds = self._rounds
        if at - self.at > _LONGEST_GAP_SECONDS or end < self.end or committed < self.committed:
            rounds.clear()  # after a gap, or of another topic or group
            self.committed_at = at
        elif committed != self.committed:
            self.committed_at = at
        self.at, self.end, self.committed = at, end, committed
        rounds.append((at, end, committed))
        while rounds[0][0] < at - self._seconds:
            rounds.popleft()
