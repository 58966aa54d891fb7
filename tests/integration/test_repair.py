"""After a repair the tables are what they would have been without the fault. Real servers, beside a running stream.

One running job and one exchange serve all tests of this file; each test has a symbol of its own.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient
from sqlalchemy.exc import DBAPIError

from include.broker.offsets import OffsetReader
from include.incidents.factory import store_from_settings
from include.incidents.model import EntryKind, NewIncident
from include.market.standin.trades import Trade
from include.playbook.ladder import RungId
from include.playbook.names import Cause, Component, ScenarioId, Severity
from include.remediation.factory import remediation_from_settings
from include.remediation.model import RungOutcome, RunRequest
from include.repair import notices
from include.repair.model import Span
from include.repair.mysql_correction import MySQLCorrectionStore
from include.repair.notices import NoticeKind
from include.repair.repair import Repair
from include.repair.span import span_of
from include.repair.windows_job import run_windows_job
from include.settings import PROJECT_ROOT, Settings
from include.stack.running import environment
from include.warehouse.engine import create_warehouse_engine
from tests.support.averages import read_averages
from tests.support.past_market import PastMarket
from tests.support.producing import read_topic
from tests.support.reference import reference_averages
from tests.support.servers import KafkaServer, MySQLServer
from tests.support.stream_job import StreamJob, TradeFeed, running_job
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]

GAP, HAND, KILL, LIVE, LOSS = SYMBOLS = ("GAPUSDT", "HANDUSDT", "KILLUSDT", "LIVEUSDT", "LOSSUSDT")
TOPIC = "repair"
MINUTES = 12.0


@pytest.fixture(scope="module")
def market() -> Iterator[PastMarket]:
    """Twelve minutes of trades; one symbol goes on."""
    with PastMarket(SYMBOLS, MINUTES, rate=10, live=(LIVE,)) as market:
        yield market


@pytest.fixture(scope="module")
def job(_kafka: KafkaServer, _mysql: MySQLServer, stack_settings: Settings, market: PastMarket) -> Iterator[StreamJob]:
    """The running stream processor, with small batches."""
    own = {"mysql_database": "repair", "trades_topic": TOPIC, "symbols": SYMBOLS, "exchange_port": market.port}
    small = {"micro_batch_seconds": 0.5, "max_offsets_per_trigger": 3000}
    with running_job(stack_settings, _kafka, _mysql, **own, **small) as job:
        yield job


@pytest.fixture
def running(job: StreamJob, kafka: KafkaServer, mysql: MySQLServer) -> StreamJob:
    """The job, its broker and its database, alive at the start of each test."""
    job.ensure_running()
    return job


def publish(job: StreamJob, trades: Iterable[Trade]) -> None:
    """Through Kafka, until all are counted."""
    feed = TradeFeed(job.settings)
    feed.publish(trades)  # type: ignore[arg-type]
    feed.flush()
    job.await_all_counted()


def whole_time(settings: Settings, symbol: str) -> Span:
    """All that the market has traded."""
    now = datetime.now(UTC)
    return span_of(now - timedelta(minutes=MINUTES), now, [symbol], settings)


def assert_exact(job: StreamJob, trades: list[Trade]) -> None:
    """The rows of the trades' symbol are the reference's."""
    (symbol,) = {trade.symbol for trade in trades}
    found = {key: row for key, row in read_averages(job.settings).items() if key[0] == symbol}
    assert found == reference_averages(trades, job.settings.windows)


def execute(settings: Settings, statement: str, *arguments: object) -> None:
    """By hand."""
    engine = create_warehouse_engine(settings)
    with engine.begin() as connection:
        assert connection.exec_driver_sql(statement, arguments).rowcount > 0
    engine.dispose()


def say(line: str) -> None:
    """Figures for who runs this with ``-s``."""
    sys.stdout.write(line + "\n")


def text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S")


def test_a_hole_of_two_minutes_is_found_fetched_and_counted(running: StreamJob, market: PastMarket) -> None:
    trades, settings = market.trades(GAP), running.settings
    first = next(i for i, t in enumerate(trades) if t.time_ms >= trades[0].time_ms + 240_000)
    last = next(i for i, t in enumerate(trades) if t.time_ms >= trades[0].time_ms + 360_000)
    publish(running, trades[:first] + trades[last:])
    repair = Repair(settings, windows_job=lambda *_: pytest.fail("the stream's sums are right"))
    span = span_of(*(datetime.fromtimestamp(trades[i].time_ms / 1000, UTC) for i in (first, last)), [GAP], settings)
    gaps, comparison = repair.find(span)
    assert [(g.first, g.last) for g in gaps] == [(trades[first].id, trades[last - 1].id)]
    assert min(comparison.missing, comparison.wrong) > 0
    assert comparison.extra == 0

    incident = open_incident(settings)
    started = datetime.fromtimestamp(trades[first].time_ms / 1000, UTC)
    notice = notices.announce(settings, NoticeKind.INCOMPLETE, [GAP], started, "trades are missing")
    notices.end(settings, notice, started + timedelta(seconds=100))
    began = time.monotonic()
    report = repair.run(
        span,
        by="tester",
        incident_id=incident,
        progress=lambda text: say(f"{time.monotonic() - began:6.2f} s  {text}"),
    )
    assert report.after.equal
    assert (report.missing_trades, report.published, report.unrecoverable) == (last - first, last - first, 0)
    assert_exact(running, trades)
    say(f"a two-minute hole of {last - first} trades: {report.seconds} s")
    assert notices.open_notices(settings) == ()
    with closing(store_from_settings(settings)) as store:
        (entry,) = [e for e in store.timeline(incident) if e.kind is EntryKind.REPAIRED]
    assert (entry.actor, entry.data["published"], entry.data["equal"]) == ("tester", last - first, True)
    records = [r for r in read_topic(settings.bootstrap_servers, TOPIC) if "repair" in r.headers]
    assert {r.headers["repair"].decode() for r in records} == {incident}

    again = repair.run(span, by="tester")
    assert (again.gaps, again.published, again.after.equal) == ((), 0, True)


def open_incident(settings: Settings) -> str:
    new = NewIncident(
        ScenarioId.PRODUCER_SILENT,
        Component.PRODUCER,
        next(iter(Cause)),
        Severity.SEV_3,
        "no trades",
        datetime.now(UTC),
        "tester",
        "a test",
    )
    with closing(store_from_settings(settings)) as store:
        return store.open(new)[0].id


def test_what_was_changed_by_hand_is_made_right_although_kafka_has_not_all_of_it(
    running: StreamJob, market: PastMarket
) -> None:
    trades, settings = market.trades(HAND), running.settings
    publish(running, trades)
    assert_exact(running, trades)
    lose_records(settings, HAND, trades[len(trades) // 2].id)
    begin = datetime.fromtimestamp(trades[0].time_ms // 60_000 * 60, UTC)
    minute = [text(begin + timedelta(minutes=i)) for i in range(12)]
    execute(settings, "DELETE FROM moving_averages WHERE symbol = %s AND window_start = %s", HAND, minute[3])
    execute(
        settings, "UPDATE moving_averages SET sma = sma + 1 WHERE symbol = %s AND window_start = %s", HAND, minute[5]
    )
    execute(
        settings,
        "UPDATE trade_minutes SET volume = volume * 2 WHERE symbol = %s AND minute_start = %s",
        HAND,
        minute[4],
    )
    execute(settings, "DELETE FROM trade_minutes WHERE symbol = %s AND minute_start = %s", HAND, minute[9])
    lost = [t.id for t in trades if text(datetime.fromtimestamp(t.time_ms // 60_000 * 60, UTC)) == minute[7]]
    execute(settings, "UPDATE trade_coverage SET last_trade_id = %s WHERE symbol = %s", lost[0] - 1, HAND)
    execute(settings, "INSERT INTO trade_coverage VALUES (%s, %s, %s)", HAND, lost[-1] + 1, trades[-1].id)

    report = Repair(settings).run(whole_time(settings, HAND), by="tester")
    assert report.missing_trades == len(lost)
    assert report.published == 0, "the sums have these trades: only the note of them was lost"
    assert report.facts["recomputed"]["from_exchange"] > 0
    assert report.facts["recomputed"]["from_kafka"] > 0
    assert report.after.equal, report.after.differing
    assert_exact(running, trades)
    publish(running, trades[-100:])  # a whole topic read again finds the ids counted
    assert_exact(running, trades)


def lose_records(settings: Settings, symbol: str, before: int) -> None:
    """Retention takes the records of a symbol's partition up to a trade."""
    records = read_topic(settings.bootstrap_servers, TOPIC)
    place = next(i for i, r in enumerate(records) if r.value and f'"s":"{symbol}","t":{before},'.encode() in r.value)
    partition = records[place].partition
    offset = sum(1 for record in records[:place] if record.partition == partition)
    admin = AdminClient({"bootstrap.servers": settings.bootstrap_servers})
    for future in admin.delete_records([TopicPartition(TOPIC, partition, offset)]).values():
        future.result(10)


def test_a_repair_that_was_killed_is_run_again(running: StreamJob, market: PastMarket) -> None:
    trades, settings = market.trades(KILL), running.settings
    sixth = len(trades) // 6
    publish(running, trades[:sixth] + trades[5 * sixth :])
    span = whole_time(settings, KILL)
    market.faults(rest_hang_seconds=0.5)
    command = [sys.executable, "-m", "include.repair", "--from", f"{span.start:%Y-%m-%dT%H:%M}", "--symbols", KILL]
    with (
        closing(OffsetReader(settings.bootstrap_servers, topic=TOPIC)) as offsets,
        subprocess.Popen(command, env=environment(settings), cwd=PROJECT_ROOT, stdout=subprocess.DEVNULL) as process,
    ):
        before = sum(offsets.end_offsets().values())
        wait_for(lambda: sum(offsets.end_offsets().values()) > before, 60, "the first trades are published", 0.01)
        process.kill()
        process.wait(10)
        assert sum(offsets.end_offsets().values()) - before < 4 * sixth, "it was killed in the middle"
    market.faults(rest_hang_seconds=0)
    second = subprocess.run(
        command, env=environment(settings), cwd=PROJECT_ROOT, stdout=subprocess.PIPE, text=True, timeout=90, check=False
    )
    assert second.returncode == 0, second.stdout
    assert "equal the exchange's ledger" in second.stdout
    running.await_all_counted()
    assert_exact(running, trades)


def test_the_batch_job_and_the_running_stream_agree(running: StreamJob, market: PastMarket) -> None:
    settings, stop = running.settings, threading.Event()
    sent = market.trades(LIVE)
    publish(running, sent)

    def follow() -> None:
        feed = TradeFeed(settings)
        while not stop.is_set():
            new = market.trades(LIVE, sent[-1].id + 1)
            feed.publish(new)  # type: ignore[arg-type]
            feed.flush()
            sent.extend(new)
            stop.wait(0.1)  # the market's own pace

    thread = threading.Thread(target=follow)
    thread.start()
    try:
        changes: dict[str, Any] = run_beside(settings)
    finally:
        stop.set()
        thread.join()
    running.await_all_counted()
    assert changes["windows"] > 0
    assert_exact(running, sent)
    gaps, comparison = Repair(settings).find(whole_time(settings, LIVE))
    assert (gaps, comparison.equal) == ((), True), comparison.differing


def run_beside(settings: Settings) -> dict[str, Any]:
    """Spoil the sums of every minute, the running one included, and let the batch job make them right."""
    execute(settings, f"UPDATE trade_minutes SET price_sum = price_sum + 7 WHERE symbol = '{LIVE}'")  # noqa: S608
    began = time.monotonic()
    report = run_windows_job(settings, whole_time(settings, LIVE))
    say(f"batch job: {time.monotonic() - began:.1f} s, {report}")
    return report


def test_a_silent_loss_is_mended_by_its_rung(running: StreamJob, market: PastMarket, tmp_path: Path) -> None:
    own = {"symbols": (LOSS,), "incident_store_url": f"sqlite:///{tmp_path}/incidents.db"}  # no other test's incident
    trades, settings = market.trades(LOSS), running.settings.model_copy(update=own)
    publish(running, trades)
    begin = datetime.fromtimestamp(trades[0].time_ms // 60_000 * 60, UTC)
    lost = [text(begin + timedelta(minutes=i)) for i in (4, 5)]
    for moment in lost:
        execute(settings, "DELETE FROM moving_averages WHERE symbol = %s AND window_start = %s", LOSS, moment)
    new = NewIncident(
        *(ScenarioId.MYSQL_NOT_WRITING, Component.MYSQL, Cause.SILENT_LOSS, Severity.SEV_2, "rows are missing"),
        *(datetime.now(UTC), "watch", "the audit"),
    )
    with closing(store_from_settings(settings)) as store, closing(remediation_from_settings(settings)) as remediation:
        incident = store.open(new)[0]
        wish = RunRequest(incident.id, incident.scenario, incident.cause, "health", "run")
        report = remediation.run(wish, RungId.REPAIR_WINDOWS)
        assert report.outcome is RungOutcome.DONE, report.text
        assert "equal the exchange's ledger" in report.text
        assert_exact(running, trades)
        (entry,) = [entry for entry in store.timeline(incident.id) if entry.kind is EntryKind.REPAIRED]
        assert entry.data["equal"]
        assert entry.data["before"]["missing"] == len(lost) * len(settings.windows)  # what was lost stays on record
    say(f"silent loss mended in {report.seconds:.1f} s: {report.text}")


def test_the_lock_is_on_the_newest_row_of_the_ledger(
    running: StreamJob, mysql: MySQLServer, market: PastMarket
) -> None:
    engine = create_warehouse_engine(running.settings)
    columns = "topic, topic_id, start_offsets, end_offsets, input_rows, invalid_rows, duplicate_rows, late_rows,"
    columns += " window_rows, late_corrections, newest_event_time, checksum, committed_at"
    publish(running, market.trades(GAP)[:1])  # the ledger has a row
    locked, go_on = threading.Event(), threading.Event()

    def batch() -> None:
        with engine.begin() as connection:  # as the stream's sink does: lock the newest row, add one
            MySQLCorrectionStore(connection).position()
            locked.set()
            assert go_on.wait(10)
            connection.exec_driver_sql(
                f"INSERT INTO batch_ledger (query_id, batch_id, {columns}) SELECT query_id, batch_id + 1000000,"  # noqa: S608
                f" {columns} FROM batch_ledger ORDER BY sequence DESC LIMIT 1"
            )

    def somebody_waits() -> bool:
        with closing(mysql.connect("information_schema")) as connection:
            cursor = connection.cursor()
            cursor.execute("SELECT COUNT(*) FROM innodb_trx WHERE trx_state = 'LOCK WAIT'")
            return bool(cursor.fetchone()[0])

    def let_it_commit() -> None:
        # the server renews this view only when nobody has looked for 0.1 s
        wait_for(somebody_waits, 10, "the correction waits for the batch", interval=0.25)
        go_on.set()

    threads = [threading.Thread(target=batch), threading.Thread(target=let_it_commit)]
    threads[0].start()
    assert locked.wait(10)
    threads[1].start()
    with engine.begin() as connection:
        MySQLCorrectionStore(connection).lock()
        for thread in threads:
            thread.join()
        with engine.begin() as other:
            other.exec_driver_sql("SET SESSION innodb_lock_wait_timeout = 1")
            with pytest.raises(DBAPIError, match="1205"):
                MySQLCorrectionStore(other).position()  # what the next batch would do first
    with engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM batch_ledger WHERE batch_id >= 1000000")
    engine.dispose()
