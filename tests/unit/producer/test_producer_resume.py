"""Where to start: the end of the topic must stand still, and the settings decide for what it does not hold."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from include.market.errors import NoEndpointError
from include.market.messages import ExchangeInfo, RestTrade
from include.producer import resume
from include.producer.errors import LastError, TailUnreadableError, TailUnsettledError
from include.producer.metrics import EVENT_TIME, STATUS, TRADES_RECEIVED, MetricKind, registry
from include.producer.resume import Resumption
from include.producer.sequencer import IdRange, Sequencer
from include.producer.tail import TopicTail
from include.producer.tracks import Track, Tracks
from tests.support.fake_publisher import FakePublisher


class MovingEnds(TopicTail):
    """The end of the topic as it is at each look."""

    def __init__(self, *ends: int) -> None:
        self._topic, self._looks = "crypto-trades", list(ends)

    def _ends(self) -> dict[int, tuple[int, int]]:
        return {0: (0, self._looks.pop(0) if len(self._looks) > 1 else self._looks[0])}


def test_the_end_is_believed_once_it_stands_still(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr("include.producer.tail.time.sleep", waits.append)
    assert MovingEnds(5, 8, 9, 9, 12)._settled_ends() == {0: (0, 9)}
    assert len(waits) == 3
    with pytest.raises(TailUnsettledError, match="second one"):
        MovingEnds(*range(100))._settled_ends()


class Exchange:
    """REST as far as the start needs it; ``newest`` None: nobody answers."""

    def __init__(self, newest: int | None, oldest: int | None = 100) -> None:
        self.newest, self.oldest = newest, oldest

    def exchange_info(self, symbols: list[str]) -> Any:
        raise NoEndpointError("exchangeInfo", {})

    def newest_trade_id(self, symbol: str) -> int:
        if self.newest is None:
            raise NoEndpointError("aggTrades", {})
        return self.newest

    def trades_from(self, symbol: str, trade_id: int, limit: int) -> list[RestTrade]:
        assert (trade_id, limit) == (0, 1)
        return [] if self.oldest is None else [RestTrade(self.oldest, "1", "1", 1, True)]


@pytest.mark.parametrize(
    "case",
    [  # newest in the topic, start_from, the exchange, the first frame, where it starts
        (149, "live", Exchange(200), 201, 150),  # behind the topic, wherever the exchange is
        (149, "oldest", Exchange(200), 201, 150),
        (None, "oldest", Exchange(200), 201, 100),
        (None, "oldest", Exchange(200, oldest=None), None, 0),  # never traded
        (None, "live", Exchange(200), 205, 201),
        (None, "live", Exchange(None), 205, 205),  # nobody answers: the first frame says where live is
    ],
)
async def test_where_a_symbol_starts(
    case: tuple[int | None, str, Exchange, int | None, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    published, start_from, exchange, held, first = case
    monkeypatch.setattr(resume, "_RETRY_SECONDS", 0.01)
    monkeypatch.setattr(resume, "_WITHOUT_REST_SECONDS", 0.02)
    publisher = FakePublisher()
    channel = publisher.channel("BTCUSDT")
    track = Track("BTCUSDT", Sequencer(channel.send, 10), channel)
    if held is not None:
        track.sequencer.offer(held, b"{}")
    start = Resumption("", (), exchange, start_from, LastError())  # type: ignore[arg-type]
    found = {} if published is None else {"BTCUSDT": published}
    monkeypatch.setattr(start, "_read_topic", lambda symbols, ceiling: found)
    await start.anchor(Tracks([track]))
    assert track.first_id == first
    assert channel.acknowledged == published
    assert track.sequencer.next_id == (first + 1 if held == first else first)


@pytest.mark.parametrize(
    ("newest", "held", "ceiling"),
    [
        (200, [], {"BTCUSDT": 1_000_200}),  # REST may be behind what the predecessor published
        (200, [10**12], {"BTCUSDT": 1_000_200}),
        (-1, [205], {}),  # an empty answer says nothing
        (None, [10**12, 205], {"BTCUSDT": 1_000_205}),  # nobody answers: the stream says which ids are credible
        (None, [], {}),
    ],
)
async def test_which_ids_of_the_topic_are_credible(
    newest: int | None, held: list[int], ceiling: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resume, "_RETRY_SECONDS", 0.01)
    monkeypatch.setattr(resume, "_WITHOUT_REST_SECONDS", 0.02)
    channel = FakePublisher().channel("BTCUSDT")
    track = Track("BTCUSDT", Sequencer(channel.send, 10), channel)
    for trade_id in held:
        track.sequencer.offer(trade_id, b"{}")
    exchange = Exchange(newest)
    monkeypatch.setattr(exchange, "exchange_info", lambda symbols: ExchangeInfo())
    start = Resumption("", (), exchange, "live", LastError())  # type: ignore[arg-type]
    ceilings: list[dict[str, int]] = []
    monkeypatch.setattr(start, "_read_topic", lambda symbols, ceiling: ceilings.append(ceiling) or {"BTCUSDT": 1})
    await start.anchor(Tracks([track]))
    assert ceilings == [ceiling]


class Consumer:
    """Gives what it was told to, then nothing."""

    def __init__(self, *messages: Record) -> None:
        self._messages = list(messages)

    def assign(self, partitions: list[Any]) -> None:
        assert partitions[0].offset == 0

    def consume(self, count: int, timeout: float) -> list[Record]:
        given, self._messages = self._messages, []
        return given


@dataclass
class Record:
    """As much of a Kafka message as is used."""

    at: int
    trade_id: int = 0
    failed: KafkaError | None = None
    said: tuple[tuple[str, bytes], ...] | None = None

    def offset(self) -> int:
        return self.at

    def error(self) -> KafkaError | None:
        return self.failed

    def key(self) -> bytes | None:
        return b"BTCUSDT"

    def headers(self) -> list[tuple[str, bytes]] | None:
        return None if self.said is None else list(self.said)

    def value(self) -> bytes:
        return json.dumps(
            {"e": "trade", "E": 1, "s": "BTCUSDT", "t": self.trade_id, "p": "1", "q": "1", "T": 1, "m": True}
        ).encode()


def test_the_last_offset_may_hold_no_record() -> None:
    """Such as the end marker of somebody's transaction: offset 2 here."""
    tail = MovingEnds(3)
    tail._timeout = 0.2
    tail._consumer = Consumer(Record(0, 7), Record(1, 8), Record(3, 9, KafkaError(KafkaError._PARTITION_EOF)))  # type: ignore[assignment]
    assert tail._newest_between(0, 0, 3, frozenset({"BTCUSDT"}), {}) == {"BTCUSDT": 8}
    tail._consumer = Consumer(Record(0, 7))  # type: ignore[assignment]
    with pytest.raises(TailUnreadableError):
        tail._newest_between(0, 0, 3, frozenset({"BTCUSDT"}), {})
    tail._consumer = Consumer(Record(0, 7), Record(1, 8, KafkaError(KafkaError._TRANSPORT)))  # type: ignore[assignment]
    with pytest.raises(KafkaException):
        tail._newest_between(0, 0, 3, frozenset({"BTCUSDT"}), {})


def test_what_a_repair_published_later_is_passed_over() -> None:
    tail = MovingEnds(3)
    tail._timeout = 0.2
    said = [(("source", b"rest"),), (("source", b"rest"), ("repair", b"INC-2026-0001")), None]
    for headers, newest in zip(said, (9, 7, 9), strict=True):
        tail._consumer = Consumer(Record(0, 7), Record(1, 9, said=headers), Record(2, 4))  # type: ignore[assignment]
        assert tail._newest_between(0, 0, 3, frozenset({"BTCUSDT"}), {}) == {"BTCUSDT": newest}


def test_metrics_are_read_when_asked_for() -> None:
    samples = {TRADES_RECEIVED: {"BTCUSDT": 3, "ETHUSDT": 4}, EVENT_TIME: {"BTCUSDT": 1.5}, STATUS: {"live": 1.0}}
    metrics = registry(lambda: samples)
    value = metrics.get_sample_value
    assert value("producer_trades_received_total", {"symbol": "ETHUSDT"}) == 4
    samples[TRADES_RECEIVED]["ETHUSDT"] = 5
    assert value("producer_trades_received_total", {"symbol": "ETHUSDT"}) == 5
    assert value("producer_newest_event_time_seconds", {"symbol": "BTCUSDT"}) == 1.5
    assert value("producer_status", {"status": "live"}) == 1
    assert TRADES_RECEIVED.kind is MetricKind.COUNTER


def test_a_track_remembers_the_newest_ranges_only() -> None:
    channel = FakePublisher().channel("A")
    track = Track("A", Sequencer(channel.send, 10, 0), channel)
    for first in range(0, 100, 2):
        track.mark_hole(IdRange(first, first))
    assert len(track.exchange_holes) == 20
    assert track.exchange_holes[-1] == IdRange(98, 98)
    assert track.ids_without_trade == 50
