"""The real publisher: an idempotent confluent-kafka producer with its own bound on unacknowledged trades.

Why nothing is lost or sent twice: idempotence gives every message of a partition a sequence number, so retries after a
lost answer are written once and in order; the message time-out is so long (24 days) that librdkafka never gives up on
its own; and if a message is refused for good all the same (fatal error, topic deleted, broker's disk lost), the
publisher takes no more (BROKEN), what it still held is thrown away, and its successor starts behind the newest ids
that really are in the topic (see ``tail``). Kafka's log is the truth, this process's memory never is.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from include.broker.dead_letters import DeadLetter
from include.broker.trade_headers import FROM_REST, SOURCE
from include.producer.errors import LastError
from include.producer.publisher import Origin, PublisherPosition, PublisherState, Sent
from include.runtime.clock import Clock

DEAD_LETTER_LIMIT = 5_000  # unacknowledged dead letters; beyond it they are counted, not kept
_BYTES_PER_TRADE = 512  # generous: some 170 bytes of value, key and librdkafka's own bookkeeping
_MARK_SECONDS = 0.05
_Headers = list[tuple[str, str | bytes | None]]
_REST_HEADERS: _Headers = [(SOURCE, FROM_REST)]
_ANY_PARTITION = -1  # by key
_NONE = -1
_STREAM, _TAKEN = Origin.STREAM, Sent.TAKEN  # looked up once, not for each trade
_ECHOES = {KafkaError._FATAL, KafkaError._PURGE_QUEUE, KafkaError._PURGE_INFLIGHT, KafkaError._FAIL}  # of a refusal
_NEVER_MS = 2_147_483_647  # 0 would mean "infinite", but overflows the request time-out computed from it


class _RoundTrip(msgspec.Struct):
    p99: int = 0


class _BrokerStatistics(msgspec.Struct):
    state: str = ""
    rtt: _RoundTrip = msgspec.field(default_factory=_RoundTrip)


class _Statistics(msgspec.Struct):
    """As much of librdkafka's STATISTICS.md as is used; microseconds."""

    brokers: dict[str, _BrokerStatistics] = {}


def producer_config(bootstrap_servers: str, buffer_trades: int) -> dict[str, Any]:
    """librdkafka settings (its CONFIGURATION.md says what each means)."""
    return {
        "bootstrap.servers": bootstrap_servers,
        "client.id": "btc_producer",
        "enable.idempotence": True,
        "enable.gapless.guarantee": True,  # a refused batch stops everything behind it, or its hole would be hidden
        "acks": "all",
        "message.timeout.ms": _NEVER_MS,
        "linger.ms": 5,
        "compression.type": "lz4",
        "partitioner": "murmur2_random",  # the Java client's choice, so that every tool agrees on a key's partition
        "queue.buffering.max.messages": buffer_trades + DEAD_LETTER_LIMIT,
        "queue.buffering.max.kbytes": min(2_000_000, max(65_536, buffer_trades * _BYTES_PER_TRADE // 1024)),
        "socket.timeout.ms": 10_000,  # a hung broker: ask again on a new connection, by sequence number
        "reconnect.backoff.max.ms": 1_000,
        "retry.backoff.max.ms": 1_000,
        "statistics.interval.ms": 1_000,
        "logger": logging.getLogger("librdkafka"),
    }


@dataclass(frozen=True)
class KafkaTarget:
    """Where to publish, and how many trades may be unacknowledged; ``headers``: of every trade's record."""

    bootstrap_servers: str
    topic: str
    dead_letter_topic: str
    buffer_trades: int
    headers: tuple[tuple[str, bytes], ...] = ()


class KafkaChannel:
    """See :class:`include.producer.publisher.Channel`."""

    __slots__ = (
        "_cut",
        "_key",
        "_marks",
        "_on_delivery",
        "_owner",
        "_pending",
        "_produce",
        "_rest_headers",
        "_stream_headers",
        "_topic",
        "acknowledged",
    )

    def __init__(self, owner: KafkaPublisher, producer: Producer, target: KafkaTarget, symbol: str) -> None:
        self._owner, self._topic, self._key = owner, target.topic, symbol.encode()
        common: _Headers = list(target.headers)
        self._stream_headers, self._rest_headers = common or None, [*_REST_HEADERS, *common]
        self._produce = producer.produce
        self._pending: deque[int] = deque()  # ids handed over, in order
        self._marks: deque[tuple[int, float]] = deque()  # (id, when it was the newest handed over)
        self._on_delivery = self._delivered  # one bound method: one a message would keep the garbage collector busy
        self._cut = False
        self.acknowledged: int | None = None

    def send(self, trade_id: int, value: bytes, origin: Origin) -> Sent:
        """See :class:`include.producer.publisher.Channel`."""
        owner = self._owner
        if owner.unacknowledged >= owner.bound:
            return owner.refuse()
        try:
            headers = self._stream_headers if origin is _STREAM else self._rest_headers
            if headers is None:  # positional arguments: parsed in half the time
                self._produce(self._topic, value, self._key, _ANY_PARTITION, self._on_delivery)
            else:
                self._produce(self._topic, value, self._key, on_delivery=self._on_delivery, headers=headers)
        except BufferError:  # librdkafka's own bound, in bytes
            return owner.pause()
        except KafkaException as error:
            return owner.break_off(error.args[0])
        self._pending.append(trade_id)
        owner.unacknowledged += 1
        return _TAKEN

    def _delivered(self, error: KafkaError | None, _message: Message) -> None:
        if error is not None or self._cut:
            self._cut = True  # nothing behind a refused trade counts
            self._owner.break_off(error or KafkaError(KafkaError._FAIL))
            return
        # Reports of a partition come in the order of its messages, and a symbol lives in one partition.
        self.acknowledged = self._pending.popleft()
        self._owner.unacknowledged -= 1

    def oldest_since(self, now: float) -> float | None:
        """When the oldest unacknowledged trade was handed over, to :data:`_MARK_SECONDS`; None when there is none."""
        marks, acknowledged = self._marks, self.acknowledged
        while marks and acknowledged is not None and marks[0][0] <= acknowledged:
            marks.popleft()
        if self._pending:
            newest = self._pending[-1]
            if not marks or (marks[-1][0] != newest and now - marks[-1][1] >= _MARK_SECONDS):
                marks.append((newest, now))
        return marks[0][1] if marks else None


class KafkaPublisher:
    """See :class:`include.producer.publisher.Publisher`."""

    def __init__(self, target: KafkaTarget, clock: Clock, last_error: LastError) -> None:
        self._target, self._clock, self._last_error = target, clock, last_error
        self.limit = limit = target.buffer_trades
        self.bound = limit  # of unacknowledged trades: the limit while OPEN, else none may be added
        self._channels: dict[str, KafkaChannel] = {}
        self.state = PublisherState.OPEN
        self.unacknowledged = 0
        self.dead_letters_lost = 0
        self._round_trip_seconds = 0.0
        self._dead_letters_pending = 0
        self._oldest_since: float | None = None
        config = producer_config(target.bootstrap_servers, limit)
        self._producer = Producer({**config, "error_cb": self._on_error, "stats_cb": self._on_statistics})

    def channel(self, symbol: str) -> KafkaChannel:
        """See :class:`include.producer.publisher.Publisher`."""
        if symbol not in self._channels:
            self._channels[symbol] = KafkaChannel(self, self._producer, self._target, symbol)
        return self._channels[symbol]

    def send_dead_letter(self, letter: DeadLetter) -> Sent:
        """See :class:`include.producer.publisher.Publisher`."""
        if self.state is PublisherState.BROKEN:
            return Sent.BROKEN
        if self._dead_letters_pending >= DEAD_LETTER_LIMIT:
            return Sent.FULL
        try:
            self._producer.produce(
                self._target.dead_letter_topic,
                letter.raw,
                headers=[*letter.headers()],
                on_delivery=self._dead_letter_delivered,
            )
        except BufferError:
            return Sent.FULL
        except KafkaException as error:
            return self._dead_letter_refused(error.args[0])
        self._dead_letters_pending += 1
        return Sent.TAKEN

    def poll(self) -> None:
        """See :class:`include.producer.publisher.Publisher`."""
        self.wait(0)

    def wait(self, seconds: float) -> None:
        """Take in acknowledgements, waiting up to ``seconds`` for the first."""
        self._serve(lambda: self._producer.poll(seconds))
        now = self._clock.monotonic()
        ages = [since for channel in self._channels.values() if (since := channel.oldest_since(now)) is not None]
        self._oldest_since = min(ages, default=None)
        if self.state is PublisherState.PAUSED and self.unacknowledged <= self.limit // 2:
            self.state, self.bound = PublisherState.OPEN, self.limit

    def flush(self, seconds: float) -> int:
        """See :class:`include.producer.publisher.Publisher`."""
        deadline = time.monotonic() + seconds
        while self._left() and self.state is not PublisherState.BROKEN and time.monotonic() < deadline:
            self._serve(lambda: self._producer.flush(0.1))
        self.poll()
        return self._left()

    def position(self) -> PublisherPosition:
        """See :class:`include.producer.publisher.Publisher`."""
        since = self._oldest_since
        age = 0.0 if since is None else max(0.0, self._clock.monotonic() - since)
        return PublisherPosition(self.state, self.unacknowledged, round(age, 3), self._round_trip_seconds)

    def abandon(self) -> None:
        """See :class:`include.producer.publisher.Publisher`."""
        self.state, self.bound = PublisherState.BROKEN, _NONE
        self._producer.purge(in_queue=True, in_flight=True, blocking=True)
        self._channels.clear()

    def refuse(self) -> Sent:
        """Answer of a channel that may not send."""
        return Sent.BROKEN if self.state is PublisherState.BROKEN else self.pause()

    def pause(self) -> Sent:
        """The bound is reached: take nothing until half of it is acknowledged."""
        if self.state is PublisherState.OPEN:
            self.state, self.bound = PublisherState.PAUSED, _NONE
        return Sent.FULL

    def break_off(self, error: KafkaError) -> Sent:
        """A message will never be stored: nothing may be taken after it, or there would be a hole."""
        if self.state is not PublisherState.BROKEN or error.code() not in _ECHOES:
            self._last_error.note("kafka", error)
        self.state, self.bound = PublisherState.BROKEN, _NONE
        return Sent.BROKEN

    def _serve(self, call: Callable[[], object]) -> None:
        """Run a call that serves callbacks; a fatal error of the client comes out of it as an exception."""
        try:
            call()
        except KafkaException as error:
            self.break_off(error.args[0])

    def _left(self) -> int:
        return self.unacknowledged + self._dead_letters_pending

    def _dead_letter_delivered(self, error: KafkaError | None, _message: Message) -> None:
        self._dead_letters_pending -= 1
        if error is not None:
            self._dead_letter_refused(error)

    def _dead_letter_refused(self, error: KafkaError) -> Sent:
        self.dead_letters_lost += 1
        self._last_error.note("dead letters", error)
        return Sent.FULL

    def _on_error(self, error: KafkaError) -> None:
        self._last_error.note("kafka", error)

    def _on_statistics(self, text: str) -> None:
        brokers = msgspec.json.decode(text, type=_Statistics).brokers.values()
        self._round_trip_seconds = max((b.rtt.p99 for b in brokers if b.state == "UP"), default=0) / 1e6
