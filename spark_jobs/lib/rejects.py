"""Records that are no trades go to the dead letters, with the reason, before the batch is committed."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import Any

from confluent_kafka import Producer

from include.broker.dead_letters import DeadLetter, DeadLetterReason
from include.broker.topics import DEAD_LETTERS
from include.runtime.clock import Clock, SystemClock
from spark_jobs.lib.errors import DeadLettersError
from spark_jobs.lib.poison_row import PoisonRow

_STAGE = "stream_processor"
_FLUSH_SECONDS = 30.0
_MOST_BYTES = 900_000  # a record may fill a message to the brim; with our headers it would not fit again
_PLAIN_DECIMAL = re.compile(r"[0-9]{1,10}(\.[0-9]{1,8})?")
_TYPES: dict[str, type] = {"e": str, "s": str, "t": int, "p": str, "q": str, "T": int}


def explain(value: bytes | None, symbols: Iterable[str]) -> tuple[DeadLetterReason, str]:
    """Why a record is not one of our trades: the reason, and a sentence about it."""
    try:
        message = json.loads(value or b"")
    except (ValueError, RecursionError) as error:
        return DeadLetterReason.MALFORMED_JSON, f"not one JSON object: {error}"[:200]
    if not isinstance(message, dict):
        return DeadLetterReason.SCHEMA_MISMATCH, f"an object is expected, not {type(message).__name__}"
    if message.get("e") != "trade" and isinstance(message.get("e"), str):
        return DeadLetterReason.UNEXPECTED_EVENT, f"event {message['e'][:50]!r} instead of 'trade'"
    for name, kind in _TYPES.items():
        if type(message.get(name)) is not kind:
            found = type(message[name]).__name__ if name in message else "missing"
            return DeadLetterReason.SCHEMA_MISMATCH, f"field {name}: {kind.__name__} is expected, not {found}"
    if message["s"] not in symbols:
        return DeadLetterReason.UNEXPECTED_SYMBOL, f"symbol {message['s'][:50]!r}"
    return DeadLetterReason.VALUE_OUT_OF_RANGE, _out_of_range(message)


def _out_of_range(message: dict[str, Any]) -> str:
    for name in ("p", "q"):
        text = message[name]
        if not _PLAIN_DECIMAL.fullmatch(text) or Decimal(text) <= 0:
            return f"field {name}: {text[:50]!r} is no positive decimal with up to 10 digits and 8 decimals"
    return f"id {message['t']}, time {message['T']}, price {message['p']} or quantity {message['q']} is impossible"


class DeadLetterWriter:
    """Produces dead letters and waits for their acknowledgement. ``close()`` it at the end."""

    def __init__(self, bootstrap_servers: str, topic: str, symbols: Iterable[str], clock: Clock | None = None) -> None:
        self._topic, self._symbols, self._clock = topic, frozenset(symbols), clock or SystemClock()
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap_servers,
                "enable.idempotence": True,
                "compression.type": "lz4",
                "linger.ms": 5,
                "message.timeout.ms": round(_FLUSH_SECONDS * 1000),
                "log_level": 2,
            }
        )

    def write(self, records: Iterable[Any], keep_going: Callable[[], None]) -> int:
        """Produce one dead letter for each record (``partition``, ``offset``, ``value``) and wait until Kafka has all.

        ``keep_going`` is called now and then and may raise to give up. Raises :class:`DeadLettersError`.
        """
        failures: list[str] = []
        count = 0
        for count, record in enumerate(records, 1):
            raw = bytes(record.value or b"")
            self._produce(record.partition, record.offset, raw, explain(raw, self._symbols), failures)
            if count % 1000 == 0:
                keep_going()
        self._flush(count, failures)
        return count

    def write_refused(self, rows: Sequence[PoisonRow]) -> None:
        """Produce one dead letter for each row at fault, with what was said about it, and wait until Kafka has all.

        Raises :class:`DeadLettersError`.
        """
        failures: list[str] = []
        for row in rows:
            why = (DeadLetterReason.NOT_STORABLE, row.culprit.error)
            self._produce(row.culprit.partition, row.culprit.offset, row.value or b"", why, failures)
        self._flush(len(rows), failures)

    def _flush(self, count: int, failures: list[str]) -> None:
        waiting = self._producer.flush(_FLUSH_SECONDS)
        if waiting or failures:
            raise DeadLettersError(
                f"{waiting + len(failures)} of {count} dead letters not acknowledged: {failures[:1]}"
            )

    def _produce(
        self, partition: int, offset: int, raw: bytes, why: tuple[DeadLetterReason, str], failures: list[str]
    ) -> None:
        reason, detail = why
        if len(raw) > _MOST_BYTES:
            raw, detail = raw[:_MOST_BYTES], f"{detail} (cut from {len(raw)} bytes; the whole is at the origin)"
        origin = f"{self._topic}-{partition}-{offset}"
        letter = DeadLetter(raw, reason, detail, _STAGE, origin, self._clock.time_ms())
        while True:
            try:
                self._producer.produce(
                    DEAD_LETTERS,
                    value=raw,
                    headers=[*letter.headers()],
                    on_delivery=lambda error, _: failures.append(str(error)) if error is not None else None,
                )
                self._producer.poll(0)
                return
            except BufferError:  # the queue is full: delivery makes room, and is bounded by message.timeout.ms
                self._producer.poll(1.0)

    def close(self) -> None:
        """Give up what is not acknowledged; there is nothing after a successful :meth:`write`."""
        self._producer.purge()
        self._producer.flush(1.0)
