"""A producer against the stand-in exchange and the real broker, and what its topic then holds."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

from confluent_kafka import Consumer, TopicPartition

from include.market.standin import StandInExchange
from include.producer.app import BtcProducer
from include.settings import Settings
from tests.support.waiting import until, wait_for


@dataclass(frozen=True)
class Record:
    """One record of a topic."""

    partition: int
    key: bytes | None
    value: bytes
    headers: dict[str, bytes]


def read_topic(bootstrap: str, topic: str) -> list[Record]:
    """Every record of a topic, partition by partition in order."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "reader", "enable.auto.commit": False})
    records: list[Record] = []
    try:
        for partition in consumer.list_topics(topic, timeout=10).topics[topic].partitions:
            low, high = _ends(consumer, TopicPartition(topic, partition))
            consumer.assign([TopicPartition(topic, partition, low)])
            deadline = time.monotonic() + 20
            while low < high:
                assert time.monotonic() < deadline, f"{topic}-{partition} cannot be read from {low} to {high}"
                for message in consumer.consume(5000, timeout=0.5):
                    assert message.error() is None, message.error()
                    low = message.offset() + 1
                    headers = dict(message.headers() or [])
                    records.append(Record(partition, message.key(), message.value(), headers))
    finally:
        consumer.close()
    return records


def _ends(consumer: Consumer, place: TopicPartition) -> tuple[int, int]:
    """A broker that has hung is not the leader of anything for a moment."""
    return wait_for(lambda: consumer.get_watermark_offsets(place, timeout=10), 20, f"the ends of {place}")


def published_trades(bootstrap: str, topic: str) -> dict[str, list[dict[str, Any]]]:
    """The trades of a topic by symbol, in the order of the topic."""
    found: dict[str, list[dict[str, Any]]] = {}
    for record in read_topic(bootstrap, topic):
        trade = json.loads(record.value)
        assert record.key == trade["s"].encode()
        found.setdefault(trade["s"], []).append(trade)
    return found


def assert_topic_is_ledger(bootstrap: str, topic: str, exchange: StandInExchange, first: dict[str, int] | None = None):
    """The topic holds exactly the ledger's trades, once each, in id order per symbol, with the ledger's values."""
    published = published_trades(bootstrap, topic)
    for symbol in exchange.config.symbols:
        truth = [t for t in exchange.trades(symbol) if first is None or t.id >= first[symbol]]
        trades = published.get(symbol, [])
        ids, wanted = [t["t"] for t in trades], [t.id for t in truth]
        lost, twice = sorted(set(wanted) - set(ids)), len(ids) - len(set(ids))
        assert ids == wanted, f"{symbol}: {len(ids)} of {len(wanted)}; lost {lost[:5]} ({len(lost)}), repeated {twice}"
        assert [(Decimal(t["p"]), Decimal(t["q"]), t["T"], t["m"]) for t in trades] == [
            (t.price, t.qty, t.time_ms, t.buyer_maker) for t in truth
        ]


def producer_settings(base: Settings, exchange: StandInExchange, **more: Any) -> Settings:
    """Settings of a producer that follows ``exchange``; the health port is a free one."""
    port = urlsplit(exchange.rest_url).port
    values = {"symbols": exchange.config.symbols, "exchange_port": port, "producer_health_port": 0, **more}
    return base.model_copy(update=values)


@contextlib.asynccontextmanager
async def running(settings: Settings, topic: str) -> AsyncIterator[BtcProducer]:
    """A producer in this process's event loop; dead letters go to ``<topic>-dlq``."""
    producer, stop = BtcProducer(settings, topic=topic, dead_letter_topic=f"{topic}-dlq"), asyncio.Event()
    task = asyncio.create_task(producer.run(stop))
    try:
        yield producer
    finally:
        stop.set()
        async with asyncio.timeout(20):
            await task


def health(producer: BtcProducer) -> dict[str, Any]:
    """The document that ``/health`` would give."""
    return json.loads(json.dumps(producer.report.health()))


def is_level(producer: BtcProducer, exchange: StandInExchange) -> bool:
    """Whether every trade of the ledger is acknowledged."""
    return all(t.channel.acknowledged == exchange.ledger.next_id(t.symbol) - 1 for t in producer.tracks)


async def until_level(producer: BtcProducer, exchange: StandInExchange, timeout: float = 15) -> None:
    """Stop the market and wait until every trade of the ledger is acknowledged."""
    exchange.faults.set(quiet=True)
    await until(lambda: is_level(producer, exchange), timeout, f"everything acknowledged: {health(producer)}")


async def off_loop(function: Callable[[], Any]) -> Any:
    """Run something slow while exchange and producer go on."""
    return await asyncio.to_thread(function)
