"""What remedies do to the real btc_producer: reconnect, restart, another endpoint. Nothing is lost."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from include.market.standin import StandInExchange
from include.playbook.ladder import RungId
from include.playbook.names import Cause
from include.remediation.model import Approval, RungOutcome
from include.remediation.rungs_endpoint import end_avoided_endpoints
from include.services.names import PRODUCER
from include.settings import Feed, Settings
from include.stack.ports import free_ports
from tests.support.producer_process import hosted_producer, log_of
from tests.support.producer_remedies import SYMBOLS, document, market, request, run, status_is
from tests.support.producing import assert_topic_is_ledger, off_loop, producer_settings
from tests.support.servers import KafkaServer
from tests.support.waiting import until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(90)]
FreshTopic = Callable[..., str]


async def all_published(settings: Settings, topic: str, exchange: StandInExchange) -> None:
    """Stop the market; everything that was traded is in the topic, once, in order."""
    exchange.faults.set(quiet=True)

    def level() -> bool:
        symbols = document(settings).get("symbols", {})
        return all(symbols.get(s, {}).get("acknowledged") == exchange.ledger.next_id(s) - 1 for s in SYMBOLS)

    deadline = time.monotonic() + 20
    while not await off_loop(level):
        assert time.monotonic() < deadline, document(settings)
        await asyncio.sleep(0.05)
    await off_loop(lambda: assert_topic_is_ledger(settings.bootstrap_servers, topic, exchange))


async def test_a_silent_feed_is_reconnected_and_a_hung_process_restarted(
    kafka: KafkaServer, fresh_topic: FreshTopic, stack_settings: Settings, tmp_path: Path
) -> None:
    topic, port = fresh_topic(), free_ports(1)[0]
    async with market() as exchange:
        settings = producer_settings(
            stack_settings, exchange, home=tmp_path, producer_health_port=port, silence_seconds=60
        )
        with hosted_producer(settings, topic) as tools:
            tools.controller.start(PRODUCER, 5)
            pid = (await status_is(settings, "live"))["pid"]
            wanted = request(tools)
            assert (await run(tools, wanted, RungId.RECONNECT_FEED)).outcome is RungOutcome.NOT_NEEDED

            exchange.faults.set(silent_open=True)  # and nobody would find out for a minute
            await asyncio.sleep(1.5)
            began = time.monotonic()
            report = await run(tools, wanted, RungId.RECONNECT_FEED)
            assert report.outcome is RungOutcome.DONE, report
            assert time.monotonic() - began < 5
            found = document(settings)
            assert (found["pid"], found["stream"]["reconnects_on_request"]) == (pid, 1)
            assert "reconnect requested" in log_of(settings)
            assert (await run(tools, wanted, RungId.RESTART_PRODUCER)).outcome is RungOutcome.NOT_NEEDED

            os.kill(pid, signal.SIGSTOP)
            await asyncio.sleep(0.2)
            began = time.monotonic()
            report = await run(tools, wanted, RungId.RESTART_PRODUCER)
            seconds = time.monotonic() - began
            assert report.outcome is RungOutcome.DONE, report
            assert report.facts["stopped"] == "killed"
            assert seconds < 8, f"{seconds:.1f} s"
            await all_published(settings, topic, exchange)


class Counted:
    """How many requests and handshakes reach an exchange."""

    def __init__(self, exchange: StandInExchange, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        accounting = exchange.accounting
        for name in ("request", "connection"):
            monkeypatch.setattr(accounting, name, self._counting(getattr(accounting, name)))

    def _counting(self, admit: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any) -> Any:
            self.count += 1
            return admit(*arguments)

        return counted


async def test_a_ban_is_waited_out_by_every_rung(
    kafka: KafkaServer,
    fresh_topic: FreshTopic,
    stack_settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The process is gone, and the exchange bans us: one question tells so, and no rung asks again."""
    topic, port = fresh_topic(), free_ports(1)[0]
    async with market() as exchange:
        settings = producer_settings(stack_settings, exchange, home=tmp_path, producer_health_port=port)
        with hosted_producer(settings, topic) as tools:
            tools.controller.start(PRODUCER, 5)
            pid = (await status_is(settings, "live"))["pid"]
            counted = Counted(exchange, monkeypatch)
            exchange.faults.set(ban_seconds=4)
            os.kill(pid, signal.SIGHUP)  # the handshake is refused, and the stream goes on meanwhile
            await until(lambda: document(settings)["rest"]["retry_after_seconds"] > 0, 5, "told to wait")
            os.kill(pid, signal.SIGHUP)
            await until(lambda: document(settings)["stream"]["last_request"]["answer"] == "refused_must_wait", 5, "no")
            assert counted.count == 1
            wanted = request(tools, Cause.UNKNOWN)
            reports = [await run(tools, wanted, rung) for rung in (RungId.RECONNECT_FEED, RungId.RESTART_PRODUCER)]
            assert [report.outcome for report in reports] == [RungOutcome.FORBIDDEN] * 2
            assert all("until" in report.facts for report in reports)
            assert counted.count == 1, "the producer's word is enough"

            os.kill(pid, signal.SIGKILL)
            for _ in range(3):
                for rung in (RungId.RECONNECT_FEED, RungId.RESTART_PRODUCER, RungId.VALIDATE_EXCHANGE):
                    report = await run(tools, wanted, rung)
                    assert report.outcome in (RungOutcome.FORBIDDEN, RungOutcome.NOT_NEEDED), report
            assert counted.count == 2
            deadline = time.monotonic() + 10
            while (report := await run(tools, wanted, RungId.VALIDATE_EXCHANGE)).outcome is RungOutcome.FORBIDDEN:
                assert time.monotonic() < deadline
                await asyncio.sleep(0.2)
            assert counted.count == 4, "one question a symbol, when the time is over"
            assert report.outcome is RungOutcome.NOT_NEEDED
            assert set(report.facts["endpoints"][exchange.rest_url]["newest"]) == set(SYMBOLS)
            assert (await run(tools, wanted, RungId.RESTART_PRODUCER)).outcome is RungOutcome.DONE
            await all_published(settings, topic, exchange)


def deaf_first(base: Settings, deaf: StandInExchange, exchange: StandInExchange, **more: Any) -> Settings:
    """Of a producer whose first stream endpoint brings nothing, while the second one and REST are the exchange's."""
    return producer_settings(
        base,
        exchange,
        feed=Feed.LIVE,
        producer_start_from="oldest",
        live_stream_endpoints=(deaf.stream_url, exchange.stream_url),
        live_rest_endpoints=(exchange.rest_url,),
        **more,
    )


@pytest.mark.timeout(150)
@pytest.mark.parametrize("good_endpoint", [True, False])
async def test_what_comes_by_rest_proves_no_stream(
    kafka: KafkaServer, fresh_topic: FreshTopic, stack_settings: Settings, tmp_path: Path, good_endpoint: bool
) -> None:
    """The stream is silent and REST works: neither another connection nor a restart has helped, another endpoint has,
    if there is a good one. Else the ladder is at its end, and people are told.
    """
    topic, port = fresh_topic(), free_ports(1)[0]
    approval = Approval(True, "ada")
    async with market(60) as exchange, market(60) as deaf:
        deaf.faults.set(silent=True)
        exchange.faults.set(silent=not good_endpoint)
        settings = deaf_first(stack_settings, deaf, exchange, home=tmp_path, producer_health_port=port)
        with hosted_producer(settings, topic) as tools:
            tools.controller.start(PRODUCER, 5)
            pid = (await status_is(settings, "polling"))["pid"]
            wanted = request(tools)
            for rung in (RungId.RECONNECT_FEED, RungId.RESTART_PRODUCER):
                report = await run(tools, wanted, rung)
                assert report.outcome is RungOutcome.FAILED, report
                assert "by stream" in report.text
                assert report.facts["by_stream"] == dict.fromkeys(SYMBOLS, 0)
                found = document(settings)
                assert min(s["acknowledged"] for s in found["symbols"].values()) > 0, "by REST"
            assert document(settings)["pid"] != pid

            report = await run(tools, wanted, RungId.SWITCH_ENDPOINT, approval)
            if not good_endpoint:
                assert report.outcome is RungOutcome.NOT_NEEDED, report
                assert "No other endpoint brings trades" in report.text
                return
            assert report.outcome is RungOutcome.DONE, report
            assert document(settings)["stream"]["url"] == exchange.stream_url
            await all_published(settings, topic, exchange)


async def test_an_endpoint_that_brings_nothing_is_tried_last_for_a_time(
    kafka: KafkaServer, fresh_topic: FreshTopic, stack_settings: Settings, tmp_path: Path
) -> None:
    topic, port = fresh_topic(), free_ports(1)[0]
    async with market() as exchange, market() as deaf:
        deaf.faults.set(silent=True)
        settings = deaf_first(
            stack_settings, deaf, exchange, home=tmp_path, producer_health_port=port, silence_seconds=2
        )
        with hosted_producer(settings, topic) as tools:
            tools.controller.start(PRODUCER, 5)
            await status_is(settings, "polling")
            wanted = request(tools)
            refused = await run(tools, wanted, RungId.SWITCH_ENDPOINT)
            assert refused.outcome is RungOutcome.NOT_APPROVED
            report = await run(tools, wanted, RungId.SWITCH_ENDPOINT, Approval(True, "ada"))
            assert report.outcome is RungOutcome.DONE, report
            assert document(settings)["stream"]["url"] == exchange.stream_url
            put = tools.temporary.get("avoid_endpoints")
            assert put is not None
            assert (put.value, put.incident_id) == (deaf.stream_url, wanted.incident_id)
            assert (await run(tools, wanted, RungId.SWITCH_ENDPOINT)).outcome is RungOutcome.NOT_NEEDED
            deaf.faults.clear()
            work = await off_loop(lambda: end_avoided_endpoints(tools, wanted))
            assert work is not None
            assert tools.temporary.all() == ()
            deadline = time.monotonic() + 15
            while (await off_loop(lambda: document(settings))).get("stream", {}).get("url") != deaf.stream_url:
                assert time.monotonic() < deadline
                await asyncio.sleep(0.1)
