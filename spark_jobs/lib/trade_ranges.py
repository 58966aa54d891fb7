"""Trades of a time, read as a batch from Kafka or from a file, by the very functions that the stream counts with."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from confluent_kafka import Consumer, TopicPartition
from pyspark.sql import DataFrame, SparkSession

from include.settings import Settings
from include.warehouse.admission import Coverage, TradeGroup
from include.warehouse.id_ranges import IdRanges
from include.warehouse.ledger import Offsets
from include.warehouse.moments import MINUTE_MS
from spark_jobs.lib.aggregate import Aggregator

# A record is never older than its trade by more than clocks differ; see the stream's own test of a trade.
_EARLY_MS = 600_000
_TIMEOUT_SECONDS = 5.0
# A cheap look at the time, before the whole record is parsed: a log holds much more than the wanted time.
_TIME = "TRY_CAST(GET_JSON_OBJECT(CAST(value AS STRING), '$.T') AS BIGINT)"


class TradeRanges:
    """Trades of ``symbols`` in ``minutes`` (since the epoch), as groups: each trade once, and none that is known."""

    def __init__(self, spark: SparkSession, settings: Settings, symbols: Iterable[str], minutes: range) -> None:
        self._spark, self._settings, self._symbols = spark, settings, tuple(symbols)
        self._aggregator = Aggregator(self._symbols)
        self._in_time = f"{_TIME} BETWEEN {minutes.start * MINUTE_MS} AND {minutes.stop * MINUTE_MS - 1}"

    def in_kafka(self, starts: Offsets, ends: Offsets, known: Mapping[str, IdRanges]) -> list[TradeGroup]:
        """Those in the topic from ``starts`` to before ``ends`` (offsets by partition). Raises Spark's errors.

        Records that retention removes meanwhile are passed over; the exchange has them.
        """
        topic = self._settings.trades_topic
        records = (
            self._spark.read.format("kafka")
            .option("kafka.bootstrap.servers", self._settings.bootstrap_servers)
            .option("assign", json.dumps({topic: sorted(ends)}))
            .option("startingOffsets", json.dumps({topic: {str(p): starts[p] for p in ends}}))
            .option("endingOffsets", json.dumps({topic: {str(p): end for p, end in ends.items()}}))
            .option("failOnDataLoss", "false")
            .load()
        )
        return self._groups(records.select("partition", "offset", "value", "timestamp"), known)

    def in_file(self, path: Path, known: Mapping[str, IdRanges]) -> list[TradeGroup]:
        """Those in a file with a trade a line, in the exchange's own shape."""
        lines = self._spark.read.text(path.as_uri())
        records = lines.selectExpr(
            "-1 AS partition",
            "MONOTONICALLY_INCREASING_ID() AS offset",
            "CAST(value AS BINARY) AS value",
            "CURRENT_TIMESTAMP() AS timestamp",
        )
        return self._groups(records, known)

    def _groups(self, records: DataFrame, known: Mapping[str, IdRanges]) -> list[TradeGroup]:
        coverage: Coverage = {symbol: known.get(symbol) or IdRanges() for symbol in self._symbols}
        return self._aggregator.recount(records.where(self._in_time), coverage)


def offsets_at(settings: Settings, log_range: Mapping[int, tuple[int, int]], minutes: range) -> Offsets:
    """From where on the topic may hold trades of ``minutes``, by partition.

    ``log_range``: first and next offset by partition. Raises :class:`confluent_kafka.KafkaException`.
    """
    consumer = Consumer(
        {"bootstrap.servers": settings.bootstrap_servers, "group.id": "repair-windows", "enable.auto.commit": False}
    )
    try:
        moment = max(0, minutes.start * MINUTE_MS - _EARLY_MS)
        wanted = [TopicPartition(settings.trades_topic, partition, moment) for partition in log_range]
        found = consumer.offsets_for_times(wanted, timeout=_TIMEOUT_SECONDS)
    finally:
        consumer.close()
    starts = {each.partition: each.offset for each in found}
    return {
        partition: high if starts[partition] < 0 else min(max(low, starts[partition]), high)
        for partition, (low, high) in log_range.items()
    }
