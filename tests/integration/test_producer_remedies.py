"""What remedies do to the real btc_producer: reconnect, restart, another endpoint, fewer trades. Nothing is lost."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from shutil import copytree
from typing import Any

import msgspec
import pytest

from include.broker.topics import ensure_topics, expected_topics
from include.health.observations import Observation, OffsetsFacts, Probe
from include.health.probes.health_document import NoDocumentError, read_document
from include.incidents.model import NewIncident
from include.market.standin import StandInConfig, StandInExchange
from include.playbook.ladder import RungId
from include.playbook.names import Cause, Component, ScenarioId, Severity
from include.remediation.model import Approval, RungOutcome, RungReport, RunRequest
from include.remediation.rungs_endpoint import end_avoided_endpoints
from include.remediation.runner import Remediation
from include.remediation.tools import Tools
from include.repair.notices import Notice, NoticeKind, open_notices
from include.repair.repair import Repair
from include.repair.span import span_of
from include.services.names import PRODUCER
from include.settings import Feed, Settings
from include.stack.ports import free_ports
from include.warehouse.migrations import migrate
from tests.support.averages import read_averages
from tests.support.observing import batch, ok, processor
from tests.support.producer_process import hosted_producer, log_of
from tests.support.producing import (
    assert_topic_is_ledger,
    health,
    is_level,
    off_loop,
    producer_settings,
    read_topic,
    running,
    until,
    until_level,
)
from tests.support.reference import reference_averages
from tests.support.servers import KafkaServer, fetch_artifacts
from tests.support.stream_job import StreamJob

pytestmark = [pytest.mark.integration, pytest.mark.timeout(90)]
FreshTopic = Callable[..., str]
SYMBOLS = ("BTCUSDT", "ETHUSDT")


def market(rate: float = 300) -> StandInExchange:
    return StandInExchange(StandInConfig(symbols=SYMBOLS, rate=rate))


def request(
    tools: Tools, cause: Cause = Cause.FEED_SILENT, scenario: ScenarioId = ScenarioId.PRODUCER_SILENT
) -> RunRequest:
    new = NewIncident(
        scenario,
        Component.PRODUCER,
        cause,
        Severity.SEV_2,
        "It is silent.",
        datetime.now(UTC),
        "watch",
        "seen",
    )
    incident, _ = tools.store.open(new)
    return RunRequest(incident.id, incident.scenario, cause, requested_by="health", run="run-1")


def document(settings: Settings) -> dict[str, Any]:
    try:
        return read_document(settings.producer_health_port, 2)
    except NoDocumentError:
        return {"status": "no answer"}


async def status_is(settings: Settings, word: str) -> dict[str, Any]:
    deadline = time.monotonic() + 20
    while (found := await off_loop(lambda: document(settings)))["status"] != word:
        assert time.monotonic() < deadline, f"not {word}: {found}\n{log_of(settings)}"
        await asyncio.sleep(0.05)
    return found


async def run(tools: Tools, wanted: RunRequest, rung: RungId, approval: Approval | None = None) -> RungReport:
    return await off_loop(lambda: Remediation(tools).run(wanted, rung, approval))


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


def sampled_ids(first: int, last: int, one_in: int = 4, block: int = 200) -> list[int]:
    return [i for i in range(first, last + 1) if i // block % one_in == 0]


async def test_fewer_trades_are_exactly_those_that_were_announced(
    kafka: KafkaServer, fresh_topic: FreshTopic, stack_settings: Settings
) -> None:
    topic = fresh_topic()
    async with market(3000) as exchange:
        everything = producer_settings(stack_settings, exchange)
        async with running(everything, topic) as producer:
            await until(lambda: health(producer)["status"] == "live", 15, "live")
            await until(lambda: all((t.channel.acknowledged or 0) > 300 for t in producer.tracks), 10, "some trades")
        whole = {t.symbol: t.channel.acknowledged for t in producer.tracks}

        reduced = producer_settings(stack_settings, exchange, producer_sampling=4)
        async with running(reduced, topic) as producer:
            await until(lambda: health(producer)["status"] == "live", 15, "live")
            exchange.faults.set(drop_ratio=0.02, duplicate_ratio=0.1)  # repaired by id as ever
            await until(lambda: all(t.sequencer.next_id > 4000 for t in producer.tracks), 20, "five rounds")
            exchange.faults.clear()
            exchange.faults.set(quiet=True)
            await until(
                lambda: all(t.settled == exchange.ledger.next_id(t.symbol) - 1 for t in producer.tracks), 15, ""
            )
            found = health(producer)
            assert found["status"] == "live"
            assert found["sampling"]["one_in"] == 4
            until_id = {s: found["symbols"][s]["settled"] for s in SYMBOLS}
            parts = {s: sampled_ids(whole[s] + 1, until_id[s]) for s in SYMBOLS}
            assert found["sampling"]["left_out"] == {s: until_id[s] - whole[s] - len(parts[s]) for s in SYMBOLS}
            assert {s: found["symbols"][s]["acknowledged"] for s in SYMBOLS} == {s: parts[s][-1] for s in SYMBOLS}

        exchange.faults.clear()
        async with running(everything, topic) as producer:
            await until(lambda: all(t.sequencer.next_id > until_id[t.symbol] + 300 for t in producer.tracks), 15, "on")
            await until_level(producer, exchange)
            assert is_level(producer, exchange)

    records = await off_loop(lambda: read_topic(kafka.bootstrap, topic))
    for symbol in SYMBOLS:
        own = [r for r in records if r.key == symbol.encode()]
        ids = [json.loads(r.value)["t"] for r in own]
        after = list(range(parts[symbol][-1] + 1, exchange.ledger.next_id(symbol)))
        assert ids == list(range(ids[0], whole[symbol] + 1)) + parts[symbol] + after
        told = {i: (r.headers.get("sampling"), r.headers.get("sampling-block")) for i, r in zip(ids, own, strict=True)}
        assert {told[i] for i in parts[symbol]} == {(b"1/4", b"200")}
        assert {told[i] for i in ids if i not in set(parts[symbol])} == {(None, None)}


class SlowCounter:
    """Looks, with a stream processor that counts so many records a second of what is really in the topic."""

    def __init__(self, tools: Tools, records_per_second: float) -> None:
        self._look, self.pace = tools.look, records_per_second
        self._at, self._counted = time.monotonic(), 0.0

    def __call__(self, probe: Probe) -> Observation:
        if probe is Probe.PROCESSOR:
            own = msgspec.structs.replace(batch(), input_rows=round(self.pace), duration_seconds=1.0)
            return processor(last_batch=own)
        seen = self._look(probe)
        return self._behind(seen) if probe is Probe.OFFSETS else seen

    def _behind(self, seen: Observation) -> Observation:
        facts, now = seen.facts, time.monotonic()
        assert isinstance(facts, OffsetsFacts), seen
        end = sum(own.end for own in facts.partitions.values())
        self._counted = min(end, self._counted + self.pace * (now - self._at))
        self._at, left, partitions = now, int(self._counted), {}
        waits = (end - left) / self.pace
        for number, own in facts.partitions.items():
            taken = min(left, own.end)
            left -= taken
            partitions[number] = msgspec.structs.replace(own, committed=taken, waiting_seconds=waits)
        return ok(Probe.OFFSETS, msgspec.structs.replace(facts, partitions=partitions))


@pytest.mark.timeout(240)
async def test_fewer_trades_are_announced_in_force_put_back_and_repaired(
    kafka: KafkaServer, fresh_topic: FreshTopic, fresh_database: Settings, tmp_path: Path
) -> None:
    """Told to readers before it begins, with a yes only; afterwards the averages are those of every trade."""
    topic, ports = fresh_topic(), free_ports(2)
    copytree(fresh_database.secrets_dir, tmp_path / "secrets")
    fetch_artifacts(fresh_database, "spark")
    async with market(1000) as exchange:
        settings = producer_settings(
            fresh_database,
            exchange,
            home=tmp_path,
            producer_health_port=ports[0],
            processor_health_port=ports[1],
            trades_topic=topic,
        )
        ensure_topics(kafka.bootstrap, expected_topics(settings))
        migrate(settings)
        with hosted_producer(settings, topic) as hosted:
            counter = SlowCounter(hosted, 300)
            tools = replace(hosted, look=counter)
            tools.controller.start(PRODUCER, 5)
            await status_is(settings, "live")
            wanted = request(tools, Cause.TRAFFIC_SURGE, ScenarioId.KAFKA_LAG)
            await asyncio.sleep(4)  # records gather
            report = await run(tools, wanted, RungId.REDUCE_FREQUENCY)
            assert report.outcome is RungOutcome.NOT_APPROVED, report
            assert open_notices(settings) == ()

            before = datetime.now(UTC)
            report = await run(tools, wanted, RungId.REDUCE_FREQUENCY, Approval(True, "ada"))
            assert report.outcome is RungOutcome.DONE, report
            one_in = report.facts["producer_sampling"]
            assert document(settings)["sampling"]["one_in"] == one_in > 1
            (notice,) = open_notices(settings, wanted.incident_id)
            assert (notice.kind, notice.symbols, notice.until) == (NoticeKind.SAMPLED, SYMBOLS, None)
            assert notice.start < before
            again = await run(tools, wanted, RungId.REDUCE_FREQUENCY, Approval(True, "ada"))
            assert again.outcome is RungOutcome.NOT_NEEDED, again

            counter.pace = 100_000
            report = await run(tools, wanted, RungId.PUT_BACK)
            assert report.outcome is RungOutcome.DONE, report
            assert (await status_is(settings, "live"))["sampling"]["one_in"] == 1
            assert tools.temporary.all() == ()
            (notice,) = open_notices(settings, wanted.incident_id)
            assert notice.until is not None
            exchange.faults.set(quiet=True)
            newest = {s: exchange.ledger.next_id(s) - 1 for s in SYMBOLS}
            await until(lambda: is_acknowledged(settings, newest), 20, "everything since is in the topic")

        records = await off_loop(lambda: read_topic(kafka.bootstrap, topic))
        sampled = {r.key: json.loads(r.value)["T"] for r in reversed(records) if "sampling" in r.headers}
        assert min(sampled.values()) / 1000 > notice.start.timestamp()
        await off_loop(lambda: repaired(settings, exchange, notice, len(records)))
        assert open_notices(settings) == ()


def is_acknowledged(settings: Settings, newest: dict[str, int]) -> bool:
    symbols = document(settings).get("symbols", {})
    return all(symbols.get(symbol, {}).get("acknowledged") == own for symbol, own in newest.items())


def repaired(settings: Settings, exchange: StandInExchange, notice: Notice, published: int) -> None:
    """What was left out is missing; a repair fetches it, and the averages are those of every trade."""
    trades = [trade for symbol in SYMBOLS for trade in exchange.trades(symbol)]
    job = StreamJob(settings)
    try:
        job.start()
        job.await_all_counted()
        span = span_of(notice.start, datetime.now(UTC), SYMBOLS, settings)
        report = Repair(settings, windows_job=lambda *_: pytest.fail("the stream's sums are right")).run(span, by="ada")
        assert report.after.equal
        assert (report.published, report.unrecoverable) == (len(trades) - published, 0)
        assert read_averages(settings) == reference_averages(trades, settings.windows)
    finally:
        job.stop()
