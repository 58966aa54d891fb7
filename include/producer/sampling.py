"""Reduced frequency: for a time only one of several blocks of trade ids is published, and every record says so.

Blocks, not single trades, so that the ids that are counted stay few ranges. What is left out stays a gap in the ids,
which the repair fetches from the exchange later. Which ids these are follows from the id alone: after a restart, and
for whoever checks, the answer is the same.
"""

from __future__ import annotations

from dataclasses import dataclass

from include.broker.trade_headers import SAMPLING, SAMPLING_BLOCK
from include.producer.publisher import Channel, Origin, Sent

BLOCK = 200  # consecutive trade ids that are published or left out together


@dataclass(frozen=True, slots=True)
class Sampling:
    """A trade is published if and only if ``(id // block) % one_in == 0``; ``one_in`` 1 publishes every trade."""

    one_in: int = 1
    block: int = BLOCK

    @property
    def reduced(self) -> bool:
        """Whether anything is left out."""
        return self.one_in > 1

    @property
    def share(self) -> str:
        """As in the header: ``1/4``."""
        return f"1/{self.one_in}"

    def publishes(self, trade_id: int) -> bool:
        """Whether the trade with this id is published."""
        return trade_id // self.block % self.one_in == 0

    def first_published(self, trade_id: int) -> int:
        """The first id from ``trade_id`` on that is published."""
        behind = trade_id // self.block % self.one_in
        return trade_id if behind == 0 else (trade_id // self.block + self.one_in - behind) * self.block

    def headers(self) -> tuple[tuple[str, bytes], ...]:
        """What every record carries meanwhile: readers of the topic must know that trades are missing on purpose."""
        if not self.reduced:
            return ()
        return ((SAMPLING, self.share.encode()), (SAMPLING_BLOCK, str(self.block).encode()))


EVERYTHING = Sampling()


class SampledChannel:
    """See :class:`include.producer.publisher.Channel`: takes every trade, hands on those that are published."""

    __slots__ = ("_channel", "_sampling", "left_out")

    def __init__(self, channel: Channel, sampling: Sampling, left_out: int = 0) -> None:
        self._channel, self._sampling = channel, sampling
        self.left_out = left_out  # trades so far

    @property
    def acknowledged(self) -> int | None:
        """See :class:`include.producer.publisher.Channel`."""
        return self._channel.acknowledged

    @acknowledged.setter
    def acknowledged(self, trade_id: int | None) -> None:
        self._channel.acknowledged = trade_id

    def send(self, trade_id: int, value: bytes, origin: Origin) -> Sent:
        """See :class:`include.producer.publisher.Channel`."""
        if self._sampling.publishes(trade_id):
            return self._channel.send(trade_id, value, origin)
        self.left_out += 1
        return Sent.TAKEN
