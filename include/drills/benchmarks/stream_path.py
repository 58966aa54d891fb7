"""Stream path: Kafka → committed averages by the real job, beside the same sums as a windowed query into ``noop``."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from contextlib import closing
from datetime import datetime

from confluent_kafka import Producer

from include.broker.topics import TRADES
from include.drills.benchmarks.producer_path import SYMBOLS, payloads
from include.drills.benchmarks.report import Section
from include.drills.benchmarks.workbench import Workbench, workbench
from include.services.names import PROCESSOR
from include.settings import PROJECT_ROOT, Settings
from include.stack import readiness
from include.stack.java import find_java
from include.stack.running import environment
from include.warehouse.engine import driver_connection

RECORDS, PER_BATCH = 2_000_000, 250_000

# Spark's own windowed aggregation of the same trades: state store, watermark, update mode, nothing written anywhere.
_BASELINE = textwrap.dedent("""
    import json, sys
    from include.settings import get_settings
    from spark_jobs.lib.session import create_session
    from spark_jobs.lib.trades import RECORDS_VIEW, trades_sql

    settings, checkpoint, per_batch = get_settings(), sys.argv[1], sys.argv[2]
    spark = create_session(settings)
    spark.conf.set("spark.sql.streaming.stateStore.providerClass",
                   "org.apache.spark.sql.execution.streaming.state.RocksDBStateStoreProvider")
    spark.conf.set("spark.sql.streaming.stateStore.rocksdb.changelogCheckpointing.enabled", "true")
    records = (spark.readStream.format("kafka").option("kafka.bootstrap.servers", settings.bootstrap_servers)
               .option("subscribe", settings.trades_topic).option("startingOffsets", "earliest")
               .option("maxOffsetsPerTrigger", per_batch).load().select("partition", "offset", "value", "timestamp"))
    records.createOrReplaceTempView(RECORDS_VIEW)
    trades = spark.sql(f"SELECT *, TIMESTAMP_MILLIS(time_ms) AS time FROM ({trades_sql(settings.symbols)})")
    trades.withWatermark("time", "10 seconds").createOrReplaceTempView("trades")
    sums = spark.sql('''SELECT symbol, window(time, '1 minute') AS minute, COUNT(*), SUM(price), SUM(price * quantity),
                        SUM(quantity), MIN(id), MAX(id), MAX_BY(price, id)
                        FROM trades GROUP BY symbol, window(time, '1 minute')''')
    query = (sums.writeStream.outputMode("update").format("noop").option("checkpointLocation", checkpoint)
             .trigger(availableNow=True).start())
    query.awaitTermination()
    print(json.dumps([[p["numInputRows"], p["durationMs"]["triggerExecution"]] for p in query.recentProgress]))
""")


def run() -> Section:
    """The same topic through both; the first batch of each is its warm-up."""
    settings = {"symbols": SYMBOLS, "max_offsets_per_trigger": PER_BATCH, "micro_batch_seconds": 0}
    with workbench(**settings) as bench:
        _fill(bench.settings)
        baseline = _baseline(bench)
        ours = _ours(bench)
    return Section(
        "Stream path: Kafka → committed averages",
        f"{RECORDS:,} trades of {len(SYMBOLS)} symbols in {TRADES}, micro-batches of {PER_BATCH:,} back to back, "
        "`local[*]`, one run each, without the first batch. The baseline is Spark's own windowed aggregation (RocksDB "
        "with changelog) of the same parsed trades into `noop`: it writes nothing and knows nothing of duplicates.",
        ["way", "rows/s", "of the baseline"],
        [
            ["windowed query into `noop`", f"{baseline:,.0f}", "100%"],
            ["stream_processor: exact by trade id, committed in MySQL", f"{ours:,.0f}", f"{ours / baseline:.0%}"],
        ],
        [f"Aim ≥ 80 % of the baseline: {ours / baseline:.0%}."],
    )


def _fill(settings: Settings) -> None:
    producer = Producer({"bootstrap.servers": settings.bootstrap_servers, "acks": "all", "linger.ms": 20})
    for number, trade in enumerate(payloads(RECORDS)):
        while True:
            try:
                producer.produce(TRADES, trade, partition=number % settings.topic_partitions)
                break
            except BufferError:
                producer.poll(0.05)
    producer.flush(60)


def _baseline(bench: Workbench) -> float:
    settings = bench.settings
    done = subprocess.run(
        [sys.executable, "-c", _BASELINE, str(settings.home / "baseline-checkpoint"), str(PER_BATCH)],
        cwd=PROJECT_ROOT,
        env={**environment(settings), "JAVA_HOME": str(find_java(settings.cache).home)},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"the baseline failed:\n{done.stderr[-3000:]}")
    batches = [batch for batch in json.loads(done.stdout.splitlines()[-1]) if batch[0]][1:]
    return float(sum(rows for rows, _ in batches) / (sum(milliseconds for _, milliseconds in batches) / 1000))


def _ours(bench: Workbench) -> float:
    bench.start(PROCESSOR)
    readiness.wait_until(lambda: sum(rows for _, rows in _ledger(bench.settings)) >= RECORDS, 600, lambda: "all rows")
    batches = _ledger(bench.settings)
    seconds = (batches[-1][0] - batches[0][0]).total_seconds()
    return sum(rows for _, rows in batches[1:]) / seconds


def _ledger(settings: Settings) -> list[tuple[datetime, int]]:
    with closing(driver_connection(settings)) as connection:
        cursor = connection.cursor()
        cursor.execute("SELECT committed_at, input_rows FROM batch_ledger ORDER BY sequence")
        return [(moment, int(rows)) for moment, rows in cursor.fetchall()]
