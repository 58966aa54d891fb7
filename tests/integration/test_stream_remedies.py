"""Rows that MySQL refuses, and a checkpoint that Spark cannot use: told, remedied by their rungs, exact afterwards."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from decimal import Decimal

import pytest

from include.broker.dead_letters import DeadLetter, DeadLetterReason
from include.broker.topics import DEAD_LETTERS
from include.guardrails.memory import MemoryGuardrails
from include.incidents.memory_store import MemoryIncidentStore
from include.playbook.ladder import RungId
from include.playbook.names import Cause, ScenarioId
from include.playbook.playbook import get_playbook
from include.remediation.looks import Looks
from include.remediation.model import Need, RungWork, RunRequest
from include.remediation.registry import RUNGS
from include.remediation.tools import Tools
from include.runtime.clock import SystemClock
from include.runtime.processor_notes import ProcessorNotes
from include.runtime.temporary_settings import TemporarySettings
from include.settings import Settings
from include.warehouse.engine import driver_connection
from include.warehouse.reader import WarehouseReader
from tests.support.averages import read_averages
from tests.support.job_controller import JobController
from tests.support.producing import read_topic
from tests.support.reference import ReferenceTrade, reference_averages
from tests.support.servers import KafkaServer, MySQLServer
from tests.support.stream_job import StreamJob, TradeFeed, message, running_job
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.integration, pytest.mark.timeout(400)]

TOPIC, SYMBOL = "stream-remedies", "POISONUSDT"
START_MS = 1_700_000_040_000
NARROW = "ALTER TABLE trade_minutes ADD CONSTRAINT narrow CHECK (volume < 1000000000)"  # a rule that somebody added
WIDE = "ALTER TABLE trade_minutes DROP CONSTRAINT IF EXISTS narrow"
REQUEST = RunRequest("INC-2026-0001", ScenarioId.STREAM_PROCESSOR_FAILURE, Cause.SCHEMA_MISMATCH, "health", "run")


@pytest.fixture(scope="module")
def job(_kafka: KafkaServer, _mysql: MySQLServer, stack_settings: Settings) -> Iterator[StreamJob]:
    own = {"mysql_database": "stream_remedies", "trades_topic": TOPIC, "symbols": (SYMBOL,), "micro_batch_seconds": 0.1}
    with running_job(stack_settings, _kafka, _mysql, **own) as job:
        yield job


@pytest.fixture(scope="module")
def tools(job: StreamJob) -> Iterator[Tools]:
    controller, store, clock = JobController(job), MemoryIncidentStore(), SystemClock()
    with ExitStack() as stack:
        looks = Looks(job.settings, controller)
        stack.callback(looks.close)
        yield Tools(
            settings=job.settings,
            controller=controller,
            store=store,
            guardrails=MemoryGuardrails(clock, store),
            temporary=TemporarySettings(job.settings.run_dir),
            look=looks,
            scenario=get_playbook().scenario,
            clock=clock,
        )


def trades(first: int, count: int) -> list[ReferenceTrade]:
    dice = random.Random(first)
    return [
        ReferenceTrade(
            SYMBOL,
            first + i,
            Decimal(dice.randrange(1, 10**13)).scaleb(-8),
            Decimal(dice.randrange(1, 10**10)).scaleb(-8),
            START_MS + (first + i) * 50,
        )
        for i in range(count)
    ]


def execute(settings: Settings, statement: str) -> None:
    with closing(driver_connection(settings)) as connection:
        connection.cursor().execute(statement)


def publish(job: StreamJob, some: list[ReferenceTrade]) -> None:
    feed = TradeFeed(job.settings)
    feed.publish(some)
    feed.flush()


def prove(rung: RungWork) -> str:
    def proved() -> str:
        proof = rung.proof()
        assert proof.good, proof.text
        return proof.text

    return wait_for(proved, 120, "the proof of the rung")


def letters(kafka: KafkaServer) -> list[DeadLetter]:
    found = [DeadLetter.from_record(r.value, [*r.headers.items()]) for r in read_topic(kafka.bootstrap, DEAD_LETTERS)]
    return [letter for letter in found if letter.origin.startswith(TOPIC)]


def test_rows_that_mysql_refuses(job: StreamJob, tools: Tools, kafka: KafkaServer) -> None:
    rung, notes = RUNGS[RungId.DEAD_LETTER_POISON](tools, REQUEST), ProcessorNotes(job.settings)
    assert rung.need().need is Need.NOT_NEEDED
    execute(job.settings, NARROW)
    well = trades(0, 3000)
    poison = [replace(well[i], price=Decimal(1), qty=Decimal(9_000_000_000 + i)) for i in (700, 2100)]
    sent = {trade.id: trade for trade in [*well, *poison]}
    sound = [trade for trade in sent.values() if trade not in poison]
    publish(job, [*sent.values(), *well[:50]])  # some of them twice
    wait_for(lambda: not job.alive, 120, "the job gives up")

    failure = notes.failure()
    assert failure is not None
    assert (failure.kind, failure.number, failure.more_culprits) == ("data", 4025, False)
    assert [(each.symbol, each.trade_id) for each in failure.culprits] == [(SYMBOL, each.id) for each in poison]
    assert RUNGS[RungId.RESTART_PROCESSOR](tools, REQUEST).need().need is Need.FORBIDDEN
    assert letters(kafka) == []

    finding = rung.need()
    assert finding.need is Need.NEEDED
    assert "4025" in finding.text
    rung.do()
    assert f"{SYMBOL} {poison[0].id}" in prove(rung)
    job.await_all_counted(120)
    assert read_averages(job.settings) == reference_averages(sound, job.settings.windows)
    assert [(each.raw, each.reason) for each in letters(kafka)] == [
        (message(each), DeadLetterReason.NOT_STORABLE) for each in poison
    ]
    assert (notes.failure(), notes.withdraw_order()) == (None, False)

    pid = job.pid
    publish(job, [poison[0], *trades(3000, 10)])  # as a repair would send it again: no new order is needed
    job.await_all_counted(120)
    assert len(letters(kafka)) == 3
    execute(job.settings, WIDE)
    publish(job, poison)  # nothing is lost: the dead letters can be sent again once they fit
    job.await_all_counted(120)
    assert job.pid == pid
    everything = [*sent.values(), *trades(3000, 10)]
    assert read_averages(job.settings) == reference_averages(everything, job.settings.windows)


def test_a_checkpoint_that_spark_cannot_use(job: StreamJob, tools: Tools) -> None:
    job.ensure_running()
    execute(job.settings, WIDE)
    early, late = trades(100_000, 500), trades(100_500, 500)
    publish(job, early)
    job.await_all_counted(120)
    before = read_averages(job.settings)
    assert job.terminate() == 0
    folder = job.settings.checkpoint_dir / "offsets"
    newest = max((file for file in folder.iterdir() if file.name.isdigit()), key=lambda file: int(file.name))
    newest.write_text(newest.read_text().replace("v1", "v3", 1))  # as another version would have written it
    publish(job, late)

    job.start(wait=False)
    wait_for(lambda: not job.alive, 120, "the job gives up")
    failure = ProcessorNotes(job.settings).failure()
    assert failure is not None
    assert failure.kind == "checkpoint"
    assert RUNGS[RungId.RESTART_PROCESSOR](tools, REQUEST).need().need is Need.FORBIDDEN
    rung = RUNGS[RungId.REBUILD_FROM_KAFKA](tools, REQUEST)
    assert rung.need().need is Need.NEEDED
    aside = rung.do().facts["aside"]
    prove(rung)
    job.await_all_counted(120)

    added = reference_averages([*early, *late], job.settings.windows)
    assert read_averages(job.settings) == {**before, **added}
    assert (job.settings.checkpoint_dir.with_name(aside.rpartition("/")[2]) / "offsets" / newest.name).exists()
    with closing(WarehouseReader(job.settings)) as reader:
        assert reader.counts().trade_coverage <= 2
