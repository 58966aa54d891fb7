"""Fewer trades on purpose, on the real btc_producer: exactly those that were announced, and repaired afterwards."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from shutil import copytree

import msgspec
import pytest

from include.broker.topics import ensure_topics, expected_topics
from include.health.observations import Observation, OffsetsFacts, Probe
from include.market.standin import StandInExchange
from include.playbook.ladder import RungId
from include.playbook.names import Cause, ScenarioId
from include.remediation.model import Approval, RungOutcome
from include.remediation.tools import Tools
from include.repair.notices import Notice, NoticeKind, open_notices
from include.repair.repair import Repair
from include.repair.span import span_of
from include.services.names import PRODUCER
from include.settings import Settings
from include.stack.ports import free_ports
from include.warehouse.migrations import migrate
from tests.support.averages import read_averages
from tests.support.observing import batch, ok, processor
from tests.support.producer_process import hosted_producer
from tests.support.producer_remedies import SYMBOLS, document, market, request, run, status_is
from tests.support.producing import health, is_level, off_loop, producer_settings, read_topic, running, until_level
from tests.support.reference import reference_averages
from tests.support.servers import KafkaServer, fetch_artifacts
from tests.support.stream_job import StreamJob
from tests.support.waiting import until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(90)]
FreshTopic = Callable[..., str]


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
