"""The port to Kafka: trades in, acknowledgements out, a bounded number in between."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from include.broker.dead_letters import DeadLetter


class Origin(StrEnum):
    """Where a trade came from; ``rest`` is written into the record's ``source`` header."""

    STREAM = "stream"
    REST = "rest"


class Sent(StrEnum):
    """Answer to one message handed over."""

    TAKEN = "taken"  # it will be acknowledged, or the publisher becomes BROKEN
    FULL = "full"  # too many unacknowledged messages: not taken
    BROKEN = "broken"  # the publisher must be replaced: not taken


class PublisherState(StrEnum):
    """Whether messages are taken."""

    OPEN = "open"
    PAUSED = "paused"  # the bound on unacknowledged trades was reached; opens again at half of it
    BROKEN = "broken"  # a message was refused for good: what is in the topic must be read back (see ``tail``)


@dataclass(frozen=True)
class PublisherPosition:
    """Facts for ``/health``."""

    state: PublisherState
    buffered: int
    oldest_unacknowledged_seconds: float
    round_trip_seconds: float  # to the broker, 99th percentile


class Channel(Protocol):
    """One symbol's way into the topic: in order, each id once."""

    acknowledged: int | None
    """Newest id in the topic, everything handed over before it included. Set at the start from the topic itself."""

    def send(self, trade_id: int, value: bytes, origin: Origin) -> Sent:
        """Hand over one trade; ids must ascend."""
        ...


class Publisher(Protocol):
    """All of it. Not thread-safe: one thread calls everything but :meth:`position`."""

    state: PublisherState
    dead_letters_lost: int  # dead letters that were taken but never stored

    def channel(self, symbol: str) -> Channel:
        """The channel of a symbol; the same one each time."""
        ...

    def send_dead_letter(self, letter: DeadLetter) -> Sent:
        """Hand over one unusable message; losing one never breaks the feed."""
        ...

    def poll(self) -> None:
        """Take in acknowledgements; call it often, it does not wait."""
        ...

    def flush(self, seconds: float) -> int:
        """Wait for acknowledgements; returns how many messages are still without one."""
        ...

    def position(self) -> PublisherPosition:
        """Where it stands now; may be called from any thread."""
        ...

    def abandon(self) -> None:
        """Give up everything unacknowledged and free the resources, without waiting."""
        ...
