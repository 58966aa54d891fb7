"""The figures of ``/metrics``."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from include.warehouse.error_numbers import ErrorKind
from include.warehouse.sink import Receipt
from spark_jobs.lib.aggregate import Aggregate
from spark_jobs.lib.progress import Progress

_SECONDS = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 2, 5, 10, 30, 60)


class Metrics:
    """Counters of this process; gauges are read from ``progress`` when asked for."""

    def __init__(self, progress: Progress) -> None:
        self.registry = CollectorRegistry()
        self._records = Counter(
            "stream_records", "Records read, by what became of them", ["outcome"], registry=self.registry
        )
        self._late = Counter("stream_late_trades", "Trades counted behind the watermark", registry=self.registry)
        self._corrections = Counter(
            "stream_late_corrections", "Final windows corrected by late trades", registry=self.registry
        )
        self._windows = Counter("stream_windows_written", "Rows upserted into moving_averages", registry=self.registry)
        self._recounts = Counter(
            "stream_recounts", "Symbols recounted trade by trade because of duplicates", registry=self.registry
        )
        self._seconds = Histogram(
            "stream_batch_seconds", "Duration of a micro-batch, by phase", ["phase"], buckets=_SECONDS,
            registry=self.registry,
        )  # fmt: skip
        self._committed = Gauge("stream_last_commit_timestamp_seconds", "Last MySQL commit", registry=self.registry)
        self._retries = Counter(
            "stream_mysql_retries", "Transactions tried again, by kind of error", ["kind"], registry=self.registry
        )
        self.query_restarts = Counter(
            "stream_query_restarts", "Restarts of the streaming query", registry=self.registry
        )
        age = Gauge(
            "stream_running_batch_age_seconds", "Age of the running micro-batch, 0 if none", registry=self.registry
        )
        age.set_function(progress.batch_age)

    def observe(self, found: Aggregate, receipt: Receipt, durations_ms: dict[str, int], now_ms: int) -> None:
        """A batch is committed."""
        counted = found.input_rows - found.invalid_rows - receipt.duplicate_rows
        for outcome, rows in (
            ("counted", counted),
            ("invalid", found.invalid_rows),
            ("duplicate", receipt.duplicate_rows),
        ):
            self._records.labels(outcome).inc(rows)
        self._late.inc(receipt.late_rows)
        self._corrections.inc(receipt.late_corrections)
        self._windows.inc(receipt.window_rows)
        self._recounts.inc(len(receipt.recounted))
        for phase, spent in durations_ms.items():
            self._seconds.labels(phase).observe(spent / 1000)
        self._committed.set(now_ms / 1000)

    def mysql_retry(self, kind: ErrorKind) -> None:
        """A transaction is tried again."""
        self._retries.labels(kind.value).inc()
