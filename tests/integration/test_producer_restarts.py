"""The producer process itself: killed, restarted, resumed behind the topic; and a broker that refuses for good."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from include.market.standin import StandInConfig, StandInExchange
from include.producer.tail import TopicTail
from include.settings import Settings
from include.stack.ports import free_ports
from tests.support.producer_process import ProducerProcess
from tests.support.producing import (
    assert_topic_is_ledger,
    health,
    off_loop,
    producer_settings,
    published_trades,
    running,
    until_level,
)
from tests.support.servers import KafkaServer
from tests.support.waiting import until

pytestmark = pytest.mark.integration
FreshTopic = Callable[..., str]
SYMBOLS = ("BTCUSDT", "ETHUSDT")


def market(rate: float, symbols: tuple[str, ...] = SYMBOLS) -> StandInExchange:
    return StandInExchange(StandInConfig(symbols=symbols, rate=rate))


async def status_is(process: ProducerProcess, word: str) -> None:
    deadline = time.monotonic() + 15
    while (await off_loop(process.health))["status"] != word:
        assert time.monotonic() < deadline, f"not {word}: {process.health()}"
        await asyncio.sleep(0.05)


async def test_killed_in_mid_stream_it_goes_on_behind_the_topic(
    kafka: KafkaServer, fresh_topic: FreshTopic, stack_settings: Settings, tmp_path: Path
) -> None:
    topic = fresh_topic()
    async with market(1500) as exchange:
        settings = producer_settings(stack_settings, exchange, home=tmp_path, producer_health_port=free_ports(1)[0])
        for _ in range(2):
            process = ProducerProcess(settings, topic)
            await status_is(process, "live")
            await asyncio.sleep(0.5)
            assert (await off_loop(lambda p=process: p.end(signal.SIGKILL)))[0] == -signal.SIGKILL
        process = ProducerProcess(settings, topic)
        await status_is(process, "live")
        metrics = (await off_loop(lambda: process.get("metrics"))).decode()
        assert 'producer_status{status="live"} 1.0' in metrics
        assert 'producer_trades_received_total{symbol="BTCUSDT"}' in metrics
        second = await off_loop(lambda: ProducerProcess(settings, topic).process.wait(10))
        assert second == 2  # never two copies
        exchange.faults.set(quiet=True)
        await asyncio.sleep(0.3)
        code, output = await off_loop(lambda: process.end(signal.SIGTERM))
        assert code == 0, output
        assert "stopped" in output
        await off_loop(lambda: assert_topic_is_ledger(kafka.bootstrap, topic, exchange))


async def test_killed_while_the_broker_hangs(
    kafka: KafkaServer, fresh_topic: FreshTopic, stack_settings: Settings, tmp_path: Path
) -> None:
    """What the dead producer had on the way may still be written when the broker wakes up: it must not come twice."""
    topic = fresh_topic()
    async with market(1000) as exchange:
        settings = producer_settings(stack_settings, exchange, home=tmp_path, producer_health_port=free_ports(1)[0])
        process = ProducerProcess(settings, topic)
        await status_is(process, "live")
        kafka.suspend()
        await asyncio.sleep(0.5)
        await off_loop(lambda: process.end(signal.SIGKILL))
        process = ProducerProcess(settings, topic)
        await asyncio.sleep(1)
        kafka.resume()
        await status_is(process, "live")
        exchange.faults.set(quiet=True)
        await asyncio.sleep(0.3)
        await off_loop(lambda: process.end(signal.SIGTERM))
        await off_loop(lambda: assert_topic_is_ledger(kafka.bootstrap, topic, exchange))


def set_largest_message(bootstrap: str, topic: str, size: int | None) -> None:
    kind = AlterConfigOpType.DELETE if size is None else AlterConfigOpType.SET
    entry = ConfigEntry("max.message.bytes", None if size is None else str(size), incremental_operation=kind)
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
    admin = AdminClient({"bootstrap.servers": bootstrap})
    admin.incremental_alter_configs([resource])[resource].result(10)


async def test_a_broker_that_refuses_for_good_costs_nothing(
    kafka: KafkaServer, fresh_topic: FreshTopic, stack_settings: Settings
) -> None:
    topic = fresh_topic()
    async with market(500) as exchange, running(producer_settings(stack_settings, exchange), topic) as producer:
        await until(lambda: health(producer)["status"] == "live", 10, "live")
        await off_loop(lambda: set_largest_message(kafka.bootstrap, topic, 100))
        await until(lambda: producer.replacements >= 1, 15, f"replaced: {health(producer)}")
        assert "too large" in (producer.last_error.text or "").lower()
        await off_loop(lambda: set_largest_message(kafka.bootstrap, topic, None))
        await until_level(producer, exchange, 20)
        await off_loop(lambda: assert_topic_is_ledger(kafka.bootstrap, topic, exchange))


async def test_the_backfill_limit_skips_and_says_so(
    kafka: KafkaServer, fresh_topic: FreshTopic, stack_settings: Settings
) -> None:
    topic = fresh_topic()
    async with market(2000) as exchange:
        async with running(producer_settings(stack_settings, exchange), topic) as producer:
            await until(lambda: health(producer)["status"] == "live", 10, "live")
        stopped_at = {t.symbol: t.channel.acknowledged for t in producer.tracks}
        await until(lambda: exchange.ledger.next_id("ETHUSDT") > stopped_at["ETHUSDT"] + 1500, 10, "trades go on")
        limited = producer_settings(stack_settings, exchange, producer_backfill_limit=1000)
        async with running(limited, topic) as producer:
            await until(lambda: health(producer)["status"] == "live", 10, "live")
            await until_level(producer, exchange)
            skipped = {t.symbol: health(producer)["symbols"][t.symbol]["skipped"] for t in producer.tracks}
        published = await off_loop(lambda: published_trades(kafka.bootstrap, topic))
        for symbol, ranges in skipped.items():
            assert ranges[0][0] == stopped_at[symbol] + 1
            missing = {i for first, last in ranges for i in range(first, last + 1)}
            wanted = [t.id for t in exchange.trades(symbol) if t.id not in missing]
            assert [t["t"] for t in published[symbol]] == wanted


def test_the_newest_id_of_a_rare_symbol_is_found_far_back(kafka: KafkaServer, fresh_topic: FreshTopic) -> None:
    topic = fresh_topic()
    producer = Producer({"bootstrap.servers": kafka.bootstrap, "queue.buffering.max.messages": 200_000})

    def put(symbol: str, trade_id: int, value: bytes | None = None) -> None:
        trade = {"e": "trade", "E": 1, "s": symbol, "t": trade_id, "p": "1", "q": "1", "T": 1, "m": True, "M": True}
        producer.produce(topic, value or json.dumps(trade).encode(), symbol.encode())

    for trade_id in (7, 8, 6):  # 6: a late copy that somebody put there
        put("RAREUSDT", trade_id)
    put("JUNKUSDT", 3)
    for trade_id in range(60_000):
        put("BTCUSDT", trade_id)
    put("JUNKUSDT", 0, b"{not json")
    put("JUNKUSDT", 10**15)  # an id that the exchange has never had
    producer.flush(20)
    tail = TopicTail(kafka.bootstrap, topic)
    try:
        symbols = frozenset({"RAREUSDT", "JUNKUSDT", "BTCUSDT", "NEWUSDT"})
        newest = tail.newest_ids(symbols, {"JUNKUSDT": 1000})
    finally:
        tail.close()
    assert newest == {"RAREUSDT": 8, "JUNKUSDT": 3, "BTCUSDT": 59_999}


def test_a_transaction_s_end_marker_at_the_end_of_the_topic_is_no_obstacle(
    kafka: KafkaServer, fresh_topic: FreshTopic
) -> None:
    topic = fresh_topic()
    producer = Producer({"bootstrap.servers": kafka.bootstrap, "transactional.id": topic})
    producer.init_transactions(20)
    producer.begin_transaction()
    trade = {"e": "trade", "E": 1, "s": "BTCUSDT", "t": 7, "p": "1", "q": "1", "T": 1, "m": True, "M": True}
    producer.produce(topic, json.dumps(trade).encode(), b"BTCUSDT")
    producer.commit_transaction(20)
    tail = TopicTail(kafka.bootstrap, topic)
    try:
        assert tail.newest_ids(frozenset({"BTCUSDT"}), {}) == {"BTCUSDT": 7}
    finally:
        tail.close()
