"""Trades of one symbol in id order, without holes or duplicates. Ids are the truth; the feed is a hint.

Whatever the feed does (drops, repeats, swaps, reconnects), and wherever a trade comes from (stream or REST), it is
published when its id is the next one. Trades beyond a gap are held, as many as there is room for, until the gap is
repaired by id; what there is no room for is dropped here and fetched by id later.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from include.producer.publisher import Origin, Sent

Send = Callable[[int, bytes, Origin], Sent]
UNKNOWN = -1  # the first id to publish is not known yet


class Offered(StrEnum):
    """What became of a trade."""

    PUBLISHED = "published"
    DUPLICATE = "duplicate"  # its id was published before
    HELD = "held"  # it waits for the trades before it
    DISCARDED = "discarded"  # no room; it will be fetched by id


_TAKEN, _PUBLISHED = Sent.TAKEN, Offered.PUBLISHED  # looked up once, not for each trade


@dataclass(frozen=True)
class IdRange:
    """Trade ids from ``first`` to ``last``, both included."""

    first: int
    last: int

    def __len__(self) -> int:
        return self.last - self.first + 1


class Sequencer:
    """``send`` publishes one trade and says whether it was taken."""

    __slots__ = ("_held", "_hold_limit", "_send", "duplicates", "newest_seen", "next_id")

    def __init__(self, send: Send, hold_limit: int, next_id: int = UNKNOWN) -> None:
        self._send, self._hold_limit = send, hold_limit
        self._held: dict[int, tuple[bytes, Origin]] = {}
        self.next_id = next_id  # the next id to publish
        self.newest_seen = next_id - 1 if next_id != UNKNOWN else UNKNOWN  # newest id known to exist
        self.duplicates = 0

    def offer(self, trade_id: int, value: bytes, origin: Origin = Origin.STREAM) -> Offered:
        """Take a trade from wherever."""
        self.newest_seen = max(self.newest_seen, trade_id)
        if trade_id == self.next_id:
            if self._send(trade_id, value, origin) is not _TAKEN:
                return Offered.DISCARDED
            self.next_id = trade_id + 1
            if self._held:
                self._release()
            return _PUBLISHED
        if trade_id < self.next_id:
            self.duplicates += 1
            return Offered.DUPLICATE
        if trade_id in self._held:
            self.duplicates += 1
            return Offered.DUPLICATE
        if len(self._held) >= self._hold_limit:
            return Offered.DISCARDED  # the held ones are nearer to the gap, so they are needed first
        self._held[trade_id] = (value, origin)
        return Offered.HELD

    def anchor(self, next_id: int) -> None:
        """Start (again) at ``next_id``; held trades before it are dropped, those from it on are published."""
        self.next_id = next_id
        self.newest_seen = max(self.newest_seen, next_id - 1)
        for trade_id in [held for held in self._held if held < next_id]:
            del self._held[trade_id]
        self._release()

    def reattach(self, send: Send) -> None:
        """Publish by another way from now on (the publisher was replaced)."""
        self._send = send

    def notice(self, newest_id: int) -> None:
        """The exchange says that this id exists."""
        self.newest_seen = max(self.newest_seen, newest_id)

    def distrust_beyond(self, newest_id: int) -> int:
        """The exchange knows no trade after ``newest_id``: forget ids beyond it. Returns how many held ones went."""
        gone = [held for held in self._held if held > newest_id]
        for trade_id in gone:
            del self._held[trade_id]
        self.newest_seen = max(newest_id, self.next_id - 1)
        return len(gone)

    def gap(self) -> IdRange | None:
        """The ids that are missing next; None when nothing known is missing (or the start is not known)."""
        if self.next_id == UNKNOWN or self.newest_seen < self.next_id:
            return None
        last = min(self._held) - 1 if self._held else self.newest_seen
        return IdRange(self.next_id, last)

    @property
    def held(self) -> int:
        """Trades held behind a gap."""
        return len(self._held)

    @property
    def oldest_held(self) -> int | None:
        """Smallest id held; None when none is."""
        return min(self._held, default=None)

    def _release(self) -> None:
        while (held := self._held.get(self.next_id)) is not None:
            if self._send(self.next_id, *held) is not Sent.TAKEN:
                self._held.clear()  # Kafka is away: hold nothing, fetch all by id later
                return
            del self._held[self.next_id]
            self.next_id += 1
