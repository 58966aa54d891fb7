"""Whatever happens to the broker: every trade of the ledger is in the topic, once, in order, and memory is bounded."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from include.market.standin import StandInConfig, StandInExchange
from include.settings import Settings
from tests.support.producing import assert_topic_is_ledger, health, off_loop, producer_settings, running, until_level
from tests.support.servers import KafkaServer
from tests.support.waiting import until

pytestmark = pytest.mark.integration
FreshTopic = Callable[..., str]


def market(rate: float) -> StandInExchange:
    return StandInExchange(StandInConfig(symbols=("BTCUSDT", "ETHUSDT", "SOLUSDT"), rate=rate))


async def test_follows_the_ledger_and_stops_cleanly(
    kafka: KafkaServer, fresh_topic: FreshTopic, stack_settings: Settings
) -> None:
    topic = fresh_topic()
    async with market(500) as exchange:
        async with running(producer_settings(stack_settings, exchange), topic) as producer:
            await until(lambda: health(producer)["status"] == "live", 10, "live")
            await asyncio.sleep(1)
            exchange.faults.set(quiet=True)
            await asyncio.sleep(0.3)  # what was traded is on its way; the stop must flush it
        await off_loop(lambda: assert_topic_is_ledger(kafka.bootstrap, topic, exchange))


async def test_broker_killed_and_restarted_under_load(
    kafka: KafkaServer, fresh_topic: FreshTopic, stack_settings: Settings
) -> None:
    topic = fresh_topic()
    async with market(3000) as exchange, running(producer_settings(stack_settings, exchange), topic) as producer:
        await until(lambda: health(producer)["status"] == "live", 10, "live")
        await off_loop(kafka.kill)
        await asyncio.sleep(1)
        await off_loop(kafka.start)
        await asyncio.sleep(1)
        await until_level(producer, exchange)
        assert producer.replacements == 0
        await off_loop(lambda: assert_topic_is_ledger(kafka.bootstrap, topic, exchange))


async def test_broker_restarted_twice(kafka: KafkaServer, fresh_topic: FreshTopic, stack_settings: Settings) -> None:
    topic = fresh_topic()
    async with market(1000) as exchange, running(producer_settings(stack_settings, exchange), topic) as producer:
        await until(lambda: health(producer)["status"] == "live", 10, "live")
        for end in (kafka.stop, kafka.kill):
            await off_loop(end)
            await off_loop(kafka.start)
        await until_level(producer, exchange)
        await off_loop(lambda: assert_topic_is_ledger(kafka.bootstrap, topic, exchange))


async def test_hung_broker_pauses_the_feed_at_the_bound_and_the_gap_is_repaired(
    kafka: KafkaServer, fresh_topic: FreshTopic, stack_settings: Settings
) -> None:
    topic, bound = fresh_topic(), 2_000
    async with market(2000) as exchange:
        settings = producer_settings(stack_settings, exchange, producer_buffer_trades=bound)
        async with running(settings, topic) as producer:
            await until(lambda: health(producer)["status"] == "live", 10, "live")
            kafka.suspend()
            await until(lambda: health(producer)["status"] == "paused_kafka_away", 10, "paused")
            paused_at = {t.symbol: t.sequencer.next_id for t in producer.tracks}
            most = 0
            for _ in range(30):
                await asyncio.sleep(0.1)
                document = health(producer)
                held = sum(s["held"] for s in document["symbols"].values())
                most = max(most, document["kafka"]["buffered"] + held)
            assert document["kafka"]["oldest_unacknowledged_seconds"] > 2
            assert bound <= document["kafka"]["buffered"] <= bound
            assert most <= bound + 3 * 1_000  # the bound, and what each symbol may hold behind a gap
            assert {t.symbol: t.sequencer.next_id for t in producer.tracks} == paused_at
            kafka.resume()
            await until_level(producer, exchange, 20)
            assert health(producer)["rest"]["gaps_repaired"] >= 3
            assert producer.replacements == 0
        await off_loop(lambda: assert_topic_is_ledger(kafka.bootstrap, topic, exchange))


async def test_hung_longer_than_a_request_may_take(
    kafka: KafkaServer, fresh_topic: FreshTopic, stack_settings: Settings
) -> None:
    """Requests under way time out after 10 s and are sent again: still once in the log."""
    topic = fresh_topic()
    async with market(300) as exchange, running(producer_settings(stack_settings, exchange), topic) as producer:
        await until(lambda: health(producer)["status"] == "live", 10, "live")
        kafka.suspend()
        await until(lambda: health(producer)["status"] == "buffering_kafka_away", 10, "buffering")
        await asyncio.sleep(8)
        kafka.resume()
        await until_level(producer, exchange, 20)
        await off_loop(lambda: assert_topic_is_ledger(kafka.bootstrap, topic, exchange))


async def test_starts_while_the_broker_is_away(
    kafka: KafkaServer, fresh_topic: FreshTopic, stack_settings: Settings
) -> None:
    topic = fresh_topic()
    async with market(200) as exchange:
        await off_loop(kafka.kill)
        async with running(producer_settings(stack_settings, exchange), topic) as producer:
            await until(lambda: "kafka" in (producer.last_error.text or ""), 10, "the error is reported")
            assert health(producer)["status"] == "starting"
            await off_loop(kafka.start)
            await until(lambda: health(producer)["status"] == "live", 20, "live")
            await until_level(producer, exchange)
            await off_loop(lambda: assert_topic_is_ledger(kafka.bootstrap, topic, exchange))
