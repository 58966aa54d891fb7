"""The simulated broker: the ends of crypto-trades, when each record was made, and what the group has committed."""

from __future__ import annotations

from collections import deque

from include.health.observations import Code
from tests.detection.plant_processes import Process

PARTITIONS = 3  # the third one has no symbol, so it stays empty


class Broker:
    """``refuses``: how an acks=all write to the canary topic fails although the broker answers. ``leaderless``:
    partitions of crypto-trades that take nothing. ``topic_problems``: what metadata tell. ``slow``: factor of every
    round trip. ``commits``: whether offsets of a group can be committed at all; ``mirrored``: whether the job does it.
    """

    def __init__(self, process: Process) -> None:
        self.process = process
        self.ends = [0] * PARTITIONS
        self.committed = [0, 0]
        self.refuses: Code | None = None
        self.leaderless: frozenset[int] = frozenset()
        self.topic_problems: dict[str, str] = {}
        self.slow = 1.0
        self.commits = self.mirrored = True
        self.stale_ends: list[int] | None = None  # what a broker with old metadata still tells
        self._segments: tuple[deque[tuple[int, float]], ...] = (deque(), deque())

    def takes(self, partition: int) -> bool:
        """Whether a record of that partition is acknowledged."""
        return self.process.answers and partition not in self.leaderless

    def append(self, partition: int, count: int, created_at: float) -> None:
        """Acknowledge ``count`` records."""
        self.ends[partition] = end = self.ends[partition] + count
        self._segments[partition].append((end, created_at))

    def commit(self, offsets: tuple[int, int]) -> None:
        """The group's offsets, if they can be committed."""
        if self.commits and self.mirrored and self.process.answers:
            committed, segments = self.committed, self._segments
            committed[0], committed[1] = offsets
            for partition in (0, 1):
                waiting, done = segments[partition], committed[partition]
                while waiting and waiting[0][0] <= done:
                    waiting.popleft()

    def waiting_seconds(self, partition: int, now: float) -> float:
        """Age of the record at the committed offset, 0 if nothing is unread."""
        waiting = self._segments[partition]
        return now - waiting[0][1] if waiting else 0.0

    def lag_seconds(self, now: float) -> float:
        """The truth, as long as offsets can be committed."""
        return max(self.waiting_seconds(0, now), self.waiting_seconds(1, now))
