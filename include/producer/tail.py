"""Where to go on: the newest trade id of each symbol that the topic already holds.

Read backwards in growing steps, because a symbol may be rare. Ids beyond ``ceiling`` (the greatest that
this process may have published) are no trades of ours and are passed over, and so are trades that a repair has
published later: they are old ones.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

import msgspec
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from include.broker.trade_headers import REPAIR
from include.market.messages import TradeEvent
from include.producer.errors import TailUnreadableError, TailUnsettledError

_FIRST_STEP, _GROWTH, _LONGEST_STEP = 2_000, 8, 500_000
_SETTLE_SECONDS, _SETTLE_TRIES = 0.25, 40
_decode = msgspec.json.Decoder(TradeEvent).decode

Ends = dict[int, tuple[int, int]]  # partition → (oldest offset, offset after the newest)


class TopicTail:
    """Reads the end of one topic; calls raise :class:`confluent_kafka.KafkaException` or
    :class:`TailUnreadableError` without a working broker."""

    def __init__(self, bootstrap_servers: str, topic: str, timeout: float = 5.0) -> None:
        self._topic, self._timeout = topic, timeout
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap_servers,
                "group.id": "btc_producer-tail",  # required by the client, never joined
                "enable.auto.commit": False,
                "enable.partition.eof": True,  # the last offset may hold no record but the end of a transaction
                "auto.offset.reset": "earliest",  # when retention removes records under our feet
                "socket.timeout.ms": 5000,
                "log_level": 2,
            }
        )

    def close(self) -> None:
        """Close the connection."""
        self._consumer.close()

    def newest_ids(self, symbols: frozenset[str], ceiling: Mapping[str, int]) -> dict[str, int]:
        """Newest id by symbol; symbols that the topic does not hold are left out.

        Waits until the end of the topic stands still: messages that a predecessor had on the way when it was killed
        may still be written once the broker gets to them. Raises :class:`TailUnsettledError` if it never does.
        """
        ends = self._settled_ends()
        found: dict[str, int] = {}
        steps = {partition: end for partition, (_, end) in ends.items()}
        size = _FIRST_STEP
        while (missing := symbols - found.keys()) and any(ends[p][0] < stop for p, stop in steps.items()):
            for partition, stop in steps.items():
                start = max(ends[partition][0], stop - size)
                for symbol, trade_id in self._newest_between(partition, start, stop, missing, ceiling).items():
                    found[symbol] = max(trade_id, found.get(symbol, trade_id))
                steps[partition] = start
            size = min(_LONGEST_STEP, size * _GROWTH)
        return found

    def _settled_ends(self) -> Ends:
        ends = self._ends()
        for _ in range(_SETTLE_TRIES):
            time.sleep(_SETTLE_SECONDS)  # the condition is that nothing happens for this long
            again = self._ends()
            if again == ends:
                return ends
            ends = again
        raise TailUnsettledError(self._topic)

    def _ends(self) -> Ends:
        found = self._consumer.list_topics(self._topic, timeout=self._timeout).topics[self._topic]
        if found.error is not None:
            raise KafkaException(found.error)
        return {
            p: self._consumer.get_watermark_offsets(TopicPartition(self._topic, p), timeout=self._timeout)
            for p in found.partitions
        }

    def _newest_between(
        self, partition: int, start: int, stop: int, symbols: frozenset[str], ceiling: Mapping[str, int]
    ) -> dict[str, int]:
        found: dict[str, int] = {}
        if start >= stop:
            return found
        keys = {symbol.encode() for symbol in symbols}
        self._consumer.assign([TopicPartition(self._topic, partition, start)])
        deadline, offset = time.monotonic() + self._timeout, start
        while offset < stop:
            messages = self._consumer.consume(5_000, timeout=0.5)
            if not messages and time.monotonic() > deadline:
                if self._ends()[partition][0] >= stop:
                    break  # retention removed the records meanwhile
                raise TailUnreadableError(self._topic, partition, offset)
            for message in messages:
                position = _position(message)
                offset = position + 1
                if message.key() in keys and position < stop and not _repaired(message):
                    _note(found, message.value(), ceiling)
            if messages:
                deadline = time.monotonic() + self._timeout
        return found


def _position(message: Message) -> int:
    """Offset of a record or of the end of the partition; raises whatever else came instead of a record."""
    if (error := message.error()) is not None and error.code() != KafkaError._PARTITION_EOF:
        raise KafkaException(error)
    return message.offset() or 0


def _repaired(message: Message) -> bool:
    return any(header[0] == REPAIR for header in message.headers() or ())


def _note(found: dict[str, int], value: bytes | None, ceiling: Mapping[str, int]) -> None:
    try:
        trade = _decode(value or b"")
    except (msgspec.DecodeError, UnicodeDecodeError):
        return  # consumers, this one among them, tolerate junk in the topic
    if trade.trade_id <= ceiling.get(trade.symbol, trade.trade_id):
        found[trade.symbol] = max(trade.trade_id, found.get(trade.symbol, trade.trade_id))
