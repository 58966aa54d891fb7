"""Missing trades back into the topic, as btc_producer would have written them.

A trade that is published twice is counted once: the stream knows every trade by its id. So a repair that is cut short
may simply be run again.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

import msgspec
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from include.market.messages import RestTrade
from include.repair.errors import RepairError
from include.settings import Settings
from include.warehouse.id_ranges import IdRanges

_FLUSH_SECONDS = 30.0
_encode = msgspec.json.Encoder().encode


class RepairPublisher:
    """``label`` names the incident, or the run, in each record's ``repair`` header. Memory stays bounded."""

    def __init__(self, settings: Settings, label: str) -> None:
        self._topic = settings.trades_topic
        self._headers: list[tuple[str, str | bytes | None]] = [("source", b"rest"), ("repair", label.encode())]
        self._refused: KafkaError | None = None
        self.ids: dict[str, IdRanges] = {}  # published
        self._producer = Producer(
            {
                "bootstrap.servers": settings.bootstrap_servers,
                "client.id": "repair",
                "enable.idempotence": True,
                "acks": "all",
                "message.timeout.ms": round(_FLUSH_SECONDS * 1000),
                "linger.ms": 5,
                "compression.type": "lz4",
                "partitioner": "murmur2_random",  # btc_producer's: a symbol lives in one partition
                "queue.buffering.max.messages": 20_000,
                "log_level": 2,
            }
        )

    @property
    def published(self) -> int:
        """How many trades."""
        return sum(last - first + 1 for ids in self.ids.values() for first, last in ids)

    def publish(self, symbol: str, rows: Iterable[RestTrade]) -> None:
        """Hand trades over. Raises :class:`RepairError` when Kafka refuses them or does not answer."""
        deadline = time.monotonic() + _FLUSH_SECONDS
        for row in rows:
            value = _encode(row.as_event(symbol))
            while not self._taken(symbol, value):
                self._producer.poll(0.1)
                if time.monotonic() > deadline:
                    raise RepairError(f"Kafka took no trades for {_FLUSH_SECONDS:g} s. Is the broker up?")
            self.ids.setdefault(symbol, IdRanges()).add(row.trade_id, row.trade_id)
        self._producer.poll(0)
        self._check()

    def flush(self) -> None:
        """Wait until Kafka has all of them. Raises :class:`RepairError`."""
        left = self._producer.flush(_FLUSH_SECONDS)
        self._check()
        if left:
            raise RepairError(f"Kafka has not confirmed {left} trades within {_FLUSH_SECONDS:g} s. Is the broker up?")

    def close(self) -> None:
        """Drop what is not confirmed, and the connection."""
        self._producer.purge(in_queue=True, in_flight=True, blocking=False)
        self._producer.flush(0.5)

    def _taken(self, symbol: str, value: bytes) -> bool:
        try:
            self._producer.produce(
                self._topic, value, symbol.encode(), headers=self._headers, on_delivery=self._delivered
            )
        except BufferError:
            return False
        except KafkaException as error:
            raise RepairError(f"Kafka refuses the trades: {error.args[0].str()}.") from error
        return True

    def _delivered(self, error: KafkaError | None, _message: Message) -> None:
        self._refused = self._refused or error

    def _check(self) -> None:
        if self._refused is not None:
            raise RepairError(f"Kafka refused trades: {self._refused.str()}. Is the broker up?")
