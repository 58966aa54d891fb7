"""The averages equal the reference to the eighth decimal, whatever happens to the job, the database and the broker.

One running job serves all tests of this file; each test has a symbol of its own. A test that kills the job leaves it
running again.
"""

from __future__ import annotations

import random
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from include.broker.dead_letters import DeadLetter, DeadLetterReason
from include.broker.offsets import OffsetReader
from include.broker.topics import DEAD_LETTERS
from include.settings import Settings
from include.warehouse.reader import WarehouseReader
from tests.support.archive import archive_file
from tests.support.averages import read_averages
from tests.support.producing import read_topic
from tests.support.reference import ReferenceTrade, load_archive_trades, reference_averages
from tests.support.servers import KafkaServer, MySQLServer
from tests.support.stream_job import StreamJob, TradeFeed, ledger, message, published_beside, running_job
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]

SYMBOLS = ("BTCUSDT", "JUNKUSDT", "LATEUSDT", "MYSQLUSDT", "KAFKAUSDT", "CRASHUSDT")
TOPIC = "stream-exactness"


@pytest.fixture(scope="module")
def job(_kafka: KafkaServer, _mysql: MySQLServer, stack_settings: Settings) -> Iterator[StreamJob]:
    """The running job, with small batches, so that a fault is likely to hit one."""
    own = {"mysql_database": "stream_exactness", "trades_topic": TOPIC, "symbols": SYMBOLS}
    small = {"micro_batch_seconds": 0.1, "max_offsets_per_trigger": 3000}
    with running_job(stack_settings, _kafka, _mysql, **own, **small) as job:
        yield job


@pytest.fixture
def running(job: StreamJob, kafka: KafkaServer, mysql: MySQLServer) -> StreamJob:
    """The job, its broker and its database, alive at the start of each test."""
    job.ensure_running()
    return job


@pytest.fixture
def feed(running: StreamJob) -> TradeFeed:
    """Publishes to the job's topic."""
    return TradeFeed(running.settings)


def assert_exact(job: StreamJob, trades: list[ReferenceTrade]) -> None:
    """Every record is counted, and the rows of the trades' symbol are the reference's."""
    job.await_all_counted()
    (symbol,) = {trade.symbol for trade in trades}
    found = {key: row for key, row in read_averages(job.settings).items() if key[0] == symbol}
    assert found == reference_averages(trades, job.settings.windows)


def test_the_replayed_real_file(running: StreamJob, feed: TradeFeed, tmp_path: Path) -> None:
    trades = load_archive_trades(archive_file(tmp_path), "BTCUSDT")
    assert len(trades) == 2001
    feed.publish(trades)
    feed.flush()
    assert_exact(running, trades)

    with closing(OffsetReader(running.settings.bootstrap_servers, topic=TOPIC)) as offsets:
        wait_for(lambda: sum(offsets.lag().values()) == 0, 10, "spark-group has no lag")
    health = running.health()
    assert health["symbols"]["BTCUSDT"]["newest_trade_id"] == trades[-1].id
    assert health["symbols"]["BTCUSDT"]["newest_event_time_ms"] == max(t.time_ms for t in trades)
    assert health["last_error"] is None


JUNK = [
    (b"", DeadLetterReason.MALFORMED_JSON),
    (None, DeadLetterReason.MALFORMED_JSON),
    (b"\xff\x00\xfe binary", DeadLetterReason.MALFORMED_JSON),
    (b'{"e":"trade","s":"JUNKUSDT","t":', DeadLetterReason.MALFORMED_JSON),
    (b"[" * 5000, DeadLetterReason.MALFORMED_JSON),
    (b"x" * 950_000, DeadLetterReason.MALFORMED_JSON),  # no room for the headers of a dead letter: cut
    (b"null", DeadLetterReason.SCHEMA_MISMATCH),
    (b'["trade"]', DeadLetterReason.SCHEMA_MISMATCH),
]
CHANGES = [
    ({"p": None}, DeadLetterReason.SCHEMA_MISMATCH),
    ({"p": 1.5}, DeadLetterReason.SCHEMA_MISMATCH),
    ({"q": 3}, DeadLetterReason.SCHEMA_MISMATCH),
    ({"t": "12"}, DeadLetterReason.SCHEMA_MISMATCH),
    ({"t": 1.5}, DeadLetterReason.SCHEMA_MISMATCH),
    ({"T": "2021-01-08"}, DeadLetterReason.SCHEMA_MISMATCH),
    ({"s": None}, DeadLetterReason.SCHEMA_MISMATCH),
    ({"e": "aggTrade"}, DeadLetterReason.UNEXPECTED_EVENT),
    ({"s": "OTHERUSDT"}, DeadLetterReason.UNEXPECTED_SYMBOL),
    ({"s": "junkusdt"}, DeadLetterReason.UNEXPECTED_SYMBOL),
    ({"p": "0.00000000"}, DeadLetterReason.VALUE_OUT_OF_RANGE),
    ({"p": "-1.00000000"}, DeadLetterReason.VALUE_OUT_OF_RANGE),
    ({"p": "1e3"}, DeadLetterReason.VALUE_OUT_OF_RANGE),
    ({"p": " 1.5"}, DeadLetterReason.VALUE_OUT_OF_RANGE),
    ({"p": "1.5\n"}, DeadLetterReason.VALUE_OUT_OF_RANGE),
    ({"p": "1e-1000000000"}, DeadLetterReason.VALUE_OUT_OF_RANGE),  # as a number it overflows what there is
    ({"q": "1e2147483647"}, DeadLetterReason.VALUE_OUT_OF_RANGE),
    ({"p": "NaN"}, DeadLetterReason.VALUE_OUT_OF_RANGE),
    ({"q": "0.123456789"}, DeadLetterReason.VALUE_OUT_OF_RANGE),
    ({"q": "12345678901.0"}, DeadLetterReason.VALUE_OUT_OF_RANGE),
    ({"p": "9999999999", "q": "9999999999"}, DeadLetterReason.VALUE_OUT_OF_RANGE),
    ({"t": -1}, DeadLetterReason.VALUE_OUT_OF_RANGE),
    ({"t": 2**63}, DeadLetterReason.VALUE_OUT_OF_RANGE),
    ({"T": 0}, DeadLetterReason.VALUE_OUT_OF_RANGE),
    ({"T": 10**17}, DeadLetterReason.VALUE_OUT_OF_RANGE),
    ({"T": 4_000_000_000_000}, DeadLetterReason.VALUE_OUT_OF_RANGE),  # the year 2096: it would end every window
]


def test_one_percent_of_malformed_messages(running: StreamJob, feed: TradeFeed, kafka: KafkaServer) -> None:
    trades = ledger("JUNKUSDT", 3000)
    junk = [*JUNK, *((message(trades[7], **changes), reason) for changes, reason in CHANGES)]
    junk.append((message(trades[7]) * 2, DeadLetterReason.MALFORMED_JSON))
    dice = random.Random(5)
    places = sorted(dice.sample(range(len(trades)), len(junk)))
    for i, trade in enumerate(trades):
        if i in places:
            feed.publish_raw("JUNKUSDT", junk[places.index(i)][0])
        unusual = {"zz": {"nested": [1]}} if i % 7 == 0 else {}  # a field that nobody knows is no reason to refuse
        feed.publish_raw("JUNKUSDT", message(trade, **unusual))
    feed.flush()
    assert_exact(running, trades)

    expected = sorted(((value or b"")[:900_000], reason.value) for value, reason in junk)
    letters = [
        DeadLetter.from_record(r.value or b"", [*r.headers.items()]) for r in read_topic(kafka.bootstrap, DEAD_LETTERS)
    ]
    ours = [letter for letter in letters if letter.origin.startswith(TOPIC)]
    assert sorted((letter.raw, letter.reason.value) for letter in ours) == expected
    assert len({letter.origin for letter in ours}) == len(junk)
    assert f'stream_records_total{{outcome="invalid"}} {len(junk)}.0' in running.metrics()


def test_out_of_order_duplicate_and_very_late_trades(running: StreamJob, feed: TradeFeed) -> None:
    dice = random.Random(11)
    trades = ledger("LATEUSDT", 4000)
    very_late = [trades.pop(i) for i in (3900, 2500, 1, 0)]
    delivery = [*trades, *dice.sample(trades, 500)]
    delivery.sort(key=lambda trade: trade.id + dice.random() * 300)
    for trade in delivery[:3500]:
        feed.publish_raw(trade.symbol, message(trade), partition=dice.randrange(3))  # not even the partition is sure
    feed.publish(delivery[3500:])
    feed.flush()
    running.await_all_counted()
    feed.publish(very_late)
    feed.publish(dice.sample(delivery, 300))
    feed.flush()
    assert_exact(running, trades + very_late)

    text = running.metrics()
    duplicates = next(
        line for line in text.splitlines() if line.startswith('stream_records_total{outcome="duplicate"}')
    )
    assert float(duplicates.split()[-1]) == 800
    assert "stream_late_trades_total 0.0" not in text


def test_a_topic_sent_again_as_a_whole_changes_nothing(running: StreamJob, feed: TradeFeed, kafka: KafkaServer) -> None:
    running.await_all_counted()
    before = read_averages(running.settings)
    records = [record for record in read_topic(kafka.bootstrap, TOPIC) if b"USDT" in (record.value or b"")]
    for record in records:
        feed.publish_raw((record.key or b"").decode(), record.value)
    feed.flush()
    running.await_all_counted()
    assert before
    assert read_averages(running.settings) == before


def test_the_database_is_killed_in_the_middle_of_a_write(
    running: StreamJob, feed: TradeFeed, mysql: MySQLServer
) -> None:
    trades, pid = ledger("MYSQLUSDT", 20_000, rate=500), running.pid
    for part in (trades[:10_000], trades[10_000:]):  # each kill under a load of its own, however long a start takes
        load = published_beside(feed, part, seconds=5)
        running.await_batch("mysql")
        mysql.kill()
        wait_for(lambda: running.health()["status"] == "retrying_mysql", 20, "the job notices")
        mysql.start()
        wait_for(lambda: running.health()["status"] == "running", 30, "the job goes on")
        load.join()
    assert_exact(running, trades)
    assert running.pid == pid
    assert "stream_mysql_retries_total" in running.metrics()


def test_the_broker_is_killed_under_load(running: StreamJob, feed: TradeFeed, kafka: KafkaServer) -> None:
    trades, pid = ledger("KAFKAUSDT", 20_000, rate=500), running.pid
    load = published_beside(feed, trades, seconds=5)
    running.await_batch()
    kafka.kill()
    wait_for(lambda: running.health()["status"] == "restarting_query", 60, "the job notices")
    kafka.start()
    load.join()
    assert_exact(running, trades)
    assert running.pid == pid
    assert running.health()["last_error"]["message"].startswith("kafka")


def lose_checkpoint(settings: Settings) -> None:
    """As if the disk had been replaced."""
    shutil.rmtree(settings.checkpoint_dir)


def keep_everything(settings: Settings) -> None:
    """Nothing else happens."""


def test_the_job_is_killed_in_the_middle_of_a_batch(running: StreamJob, feed: TradeFeed) -> None:
    trades = ledger("CRASHUSDT", 30_000, rate=500)
    third = len(trades) // 3
    events: list[Callable[[Settings], None]] = [keep_everything, lose_checkpoint]
    for number, beside in enumerate(events):
        load = published_beside(feed, trades[number * third : (number + 1) * third], seconds=2)
        running.await_batch()
        running.kill()
        beside(running.settings)
        running.start()
        load.join()
    load = published_beside(feed, trades[2 * third :], seconds=2)
    running.await_batch()
    started = time.monotonic()
    assert running.terminate() == 0
    assert time.monotonic() - started < running.settings.processor_stop_seconds + 6
    load.join()
    running.start()
    assert_exact(running, trades)
    log = running.log.read_text()
    assert "at=checkpoint" in log
    assert "at=no_checkpoint" in log
    with closing(WarehouseReader(running.settings)) as reader:
        assert reader.counts().trade_coverage == len({s for s, *_ in read_averages(running.settings)})


def test_the_heartbeat_goes_on_without_trades(running: StreamJob) -> None:
    with closing(WarehouseReader(running.settings)) as reader:
        running.await_all_counted()
        first = reader.heartbeat("stream_processor")
        wait_for(lambda: reader.heartbeat("stream_processor") != first, 12, "the heartbeat is refreshed")
