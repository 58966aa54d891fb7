"""Whatever happens to the feed: every trade of the ledger is in the topic, once, in order."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from include.broker.dead_letters import DeadLetter, DeadLetterReason
from include.market.standin import IdRange as DropRange
from include.market.standin import StandInConfig, StandInExchange
from include.producer.app import BtcProducer
from include.settings import Feed, Settings
from tests.support.producing import (
    assert_topic_is_ledger,
    health,
    off_loop,
    producer_settings,
    read_topic,
    running,
    until_level,
)
from tests.support.servers import KafkaServer
from tests.support.waiting import until

pytestmark = pytest.mark.integration
SYMBOLS = ("BTCUSDT", "ETHUSDT")


@pytest.fixture
def topic(fresh_topic: Callable[..., str]) -> str:
    return fresh_topic()


@pytest.fixture
def settings(stack_settings: Settings, kafka: KafkaServer) -> Settings:
    return stack_settings


def market(rate: float = 500) -> StandInExchange:
    return StandInExchange(StandInConfig(symbols=SYMBOLS, rate=rate))


async def live(producer: BtcProducer) -> None:
    await until(lambda: health(producer)["status"] == "live", 15, f"live: {health(producer)}")


def dead_letters(settings: Settings, topic: str) -> list[DeadLetter]:
    records = read_topic(settings.bootstrap_servers, f"{topic}-dlq")
    return [DeadLetter.from_record(r.value, list(r.headers.items())) for r in records]


@pytest.mark.parametrize(
    "faults",
    [
        {"drop_ratio": 0.05},
        {"duplicate_ratio": 0.2},
        {"reorder_ratio": 0.2},
        {"late_ratio": 0.05, "late_seconds": 1.0},
        {"unknown_field_ratio": 1.0},
        {"drop_ratio": 0.02, "duplicate_ratio": 0.1, "reorder_ratio": 0.1, "malformed_ratio": 0.01},
    ],
    ids=",".join,
)
async def test_a_feed_that_drops_repeats_and_swaps(faults: dict[str, Any], settings: Settings, topic: str) -> None:
    async with market() as exchange, running(producer_settings(settings, exchange), topic) as producer:
        await live(producer)
        exchange.faults.set(**faults)
        await asyncio.sleep(2)
        exchange.faults.clear()
        await until_level(producer, exchange)
        await off_loop(lambda: assert_topic_is_ledger(settings.bootstrap_servers, topic, exchange))


async def test_one_percent_of_malformed_frames_become_dead_letters(settings: Settings, topic: str) -> None:
    strange = ['{"e":"aggTrade"}', "not json \\u0000 at all", '{"half":']
    async with market(1000) as exchange, running(producer_settings(settings, exchange), topic) as producer:
        await live(producer)
        exchange.faults.set(malformed_ratio=0.01)
        for text in strange:
            exchange.streams.inject(text.encode(), "btcusdt@trade")
        await asyncio.sleep(3)
        exchange.faults.clear()
        await until_level(producer, exchange)
        document = health(producer)
        await off_loop(lambda: assert_topic_is_ledger(settings.bootstrap_servers, topic, exchange))
    letters = await off_loop(lambda: dead_letters(settings, topic))
    assert document["invalid"]["state"] == "normal"
    assert len(letters) == document["invalid"]["total"] > len(strange) + 10
    by_raw = {letter.raw: letter for letter in letters}
    assert [by_raw[b'{"stream":"btcusdt@trade","data":%s}' % text.encode()].reason for text in strange] == [
        DeadLetterReason.UNEXPECTED_EVENT,
        DeadLetterReason.MALFORMED_JSON,
        DeadLetterReason.MALFORMED_JSON,
    ]
    assert all(letter.stage == "btc_producer" and letter.detail for letter in letters)


async def test_a_flood_of_invalid_frames_is_a_state_and_not_a_flood_of_dead_letters(
    settings: Settings, topic: str
) -> None:
    async with market(1000) as exchange, running(producer_settings(settings, exchange), topic) as producer:
        await live(producer)
        exchange.faults.set(null_price_ratio=0.5)
        await until(lambda: health(producer)["status"] == "invalid_flood", 10, "flood")
        await asyncio.sleep(3)
        flooded = health(producer)["invalid"]
        exchange.faults.clear()
        await until(lambda: health(producer)["invalid"]["state"] == "normal", 20, "the flood is over")
        await until_level(producer, exchange)
        await off_loop(lambda: assert_topic_is_ledger(settings.bootstrap_servers, topic, exchange))
    letters = await off_loop(lambda: dead_letters(settings, topic))
    assert flooded["total"] > 1000
    assert flooded["not_stored"] > 700
    assert len(letters) < 300
    assert len(letters) + health(producer)["invalid"]["not_stored"] == health(producer)["invalid"]["total"]


async def test_a_silent_feed_that_answers_pings_is_found_and_replaced(settings: Settings, topic: str) -> None:
    async with (
        market(200) as exchange,
        running(producer_settings(settings, exchange, silence_seconds=3), topic) as producer,
    ):
        await live(producer)
        exchange.faults.set(silent=True)
        began = time.monotonic()
        await until(lambda: health(producer)["stream"]["silence_verdict"] == "feed_at_fault", 10, "verdict")
        exchange.faults.clear()
        await until(lambda: health(producer)["stream"]["connections"] >= 2, 10, "reconnected")
        await live(producer)
        assert time.monotonic() - began < 10
        await until_level(producer, exchange)
        await off_loop(lambda: assert_topic_is_ledger(settings.bootstrap_servers, topic, exchange))


async def test_a_quiet_market_is_not_a_silent_feed(settings: Settings, topic: str) -> None:
    async with (
        market(200) as exchange,
        running(producer_settings(settings, exchange, silence_seconds=1), topic) as producer,
    ):
        await live(producer)
        exchange.faults.set(quiet=True)
        await until(lambda: health(producer)["stream"]["silence_verdict"] == "quiet", 5, "verdict")
        await asyncio.sleep(2)
        document = health(producer)
        assert document["status"] == "live"
        assert document["stream"]["connections"] == 1


async def test_no_stream_endpoint_answers_then_one_does(settings: Settings, topic: str) -> None:
    async with market(100) as exchange, running(producer_settings(settings, exchange), topic) as producer:
        await live(producer)
        exchange.faults.set(stream_status=503)
        exchange.streams.reset_all()
        await until(lambda: health(producer)["status"] == "polling", 10, f"polling: {health(producer)}")
        at = {t.symbol: t.channel.acknowledged for t in producer.tracks}
        await until(lambda: all(t.channel.acknowledged > at[t.symbol] + 50 for t in producer.tracks), 10, "by REST")
        exchange.faults.clear()
        await until(lambda: health(producer)["stream"]["trust"] == "proven", 25, "back on the stream")
        await until_level(producer, exchange)
        await off_loop(lambda: assert_topic_is_ledger(settings.bootstrap_servers, topic, exchange))


async def test_rotation_leaves_no_gap(settings: Settings, topic: str) -> None:
    async with market(1000) as exchange:
        every_second = producer_settings(settings, exchange, stream_rotation_hours=1 / 3600)
        async with running(every_second, topic) as producer:
            await live(producer)
            repaired = health(producer)["rest"]["gaps_repaired"]
            await until(lambda: health(producer)["stream"]["rotations"] >= 3, 15, "three rotations")
            exchange.streams.announce_shutdown()
            await until_level(producer, exchange)
            assert health(producer)["rest"]["gaps_repaired"] == repaired
            assert len(exchange.streams.connections) <= 2
            await off_loop(lambda: assert_topic_is_ledger(settings.bootstrap_servers, topic, exchange))


async def test_shutdown_notice_leaves_no_gap(settings: Settings, topic: str) -> None:
    async with market(1000) as exchange, running(producer_settings(settings, exchange), topic) as producer:
        await live(producer)
        repaired = health(producer)["rest"]["gaps_repaired"]
        exchange.streams.announce_shutdown()
        await until(lambda: health(producer)["stream"]["rotations"] == 1, 5, "replaced")
        await until(lambda: len(exchange.streams.connections) == 1, 5, "the old one is closed")
        await until_level(producer, exchange)
        assert health(producer)["rest"]["gaps_repaired"] == repaired
        assert health(producer)["invalid"]["total"] == 0
        await off_loop(lambda: assert_topic_is_ledger(settings.bootstrap_servers, topic, exchange))


@pytest.fixture
def counting_server() -> Iterator[socket.socket]:
    """A listening socket that nobody answers on: connections to it can be counted."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        yield server


async def test_a_ban_is_waited_out_and_no_other_host_is_tried(
    settings: Settings, topic: str, counting_server: socket.socket
) -> None:
    async with market(200) as exchange:
        other = f"http://127.0.0.1:{counting_server.getsockname()[1]}"
        two_hosts = producer_settings(
            settings,
            exchange,
            feed=Feed.LIVE,
            producer_start_from="oldest",
            live_rest_endpoints=(exchange.rest_url, other),
            live_stream_endpoints=(exchange.stream_url,),
        )
        async with running(two_hosts, topic) as producer:
            await live(producer)
            newest = exchange.ledger.next_id("BTCUSDT")
            exchange.faults.set(
                ban_seconds=4, drop_ids=(DropRange(symbol="BTCUSDT", first=newest + 10, last=newest + 12),)
            )
            await until(lambda: health(producer)["status"] == "rate_limited", 5, f"limited: {health(producer)}")
            requests = exchange.accounting.snapshot()["127.0.0.1"]["requests"]
            assert health(producer)["rest"]["retry_after_seconds"] > 2
            await asyncio.sleep(2)
            assert exchange.accounting.snapshot()["127.0.0.1"]["requests"] == requests
            assert health(producer)["rest"]["times_limited"] == 1
            await live(producer)
            await until_level(producer, exchange)
            await off_loop(lambda: assert_topic_is_ledger(settings.bootstrap_servers, topic, exchange))
        with pytest.raises(BlockingIOError):
            counting_server.accept()


async def test_endpoints_are_tried_in_order(settings: Settings, topic: str, counting_server: socket.socket) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        dead = closed.getsockname()[1]
    async with market(200) as exchange:
        ladder = producer_settings(
            settings,
            exchange,
            feed=Feed.LIVE,
            producer_start_from="oldest",
            live_rest_endpoints=(f"http://127.0.0.1:{dead}", exchange.rest_url),
            live_stream_endpoints=(f"ws://127.0.0.1:{dead}", exchange.stream_url),
        )
        async with running(ladder, topic) as producer:
            await live(producer)
            exchange.faults.set(drop_ratio=0.2)
            await asyncio.sleep(1)
            exchange.faults.clear()
            await until_level(producer, exchange)
            breakers = {e["url"]: e["breaker"] for e in health(producer)["endpoints"]}
            assert breakers[f"http://127.0.0.1:{dead}"] in ("open", "half_open")
            assert breakers[exchange.rest_url] == breakers[exchange.stream_url] == "closed"
            await off_loop(lambda: assert_topic_is_ledger(settings.bootstrap_servers, topic, exchange))
