"""The stream processor as a process: put together, run, stopped."""

from __future__ import annotations

import os
import signal
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from pyspark.sql import SparkSession

from include.broker.offsets import OffsetCommitter
from include.runtime.clock import SystemClock
from include.runtime.health_endpoint import HealthEndpoint
from include.runtime.logging import get_logger
from include.runtime.processor_notes import ProcessorNotes
from include.settings import Settings
from include.warehouse.engine import create_warehouse_engine
from include.warehouse.error_numbers import ErrorKind
from include.warehouse.sink import BatchSink
from include.warehouse.transaction import TransactionRunner
from spark_jobs.lib.aggregate import Aggregator
from spark_jobs.lib.batch import BatchProcessor, QueryIdentity
from spark_jobs.lib.checkpoint import read_query_id
from spark_jobs.lib.class_archive import archive_path, make_archive_in_background
from spark_jobs.lib.failures import Failure, error_text
from spark_jobs.lib.giving_up import LastWords
from spark_jobs.lib.group_offsets import GroupOffsets
from spark_jobs.lib.heartbeat import Heartbeat
from spark_jobs.lib.metrics import Metrics
from spark_jobs.lib.opening import Opening, find_opening
from spark_jobs.lib.poison import PoisonHandler
from spark_jobs.lib.poison_search import PoisonSearch
from spark_jobs.lib.progress import JobStatus, Progress, SymbolState, utc_text
from spark_jobs.lib.query import QUERY_NAME, start_query
from spark_jobs.lib.rejects import DeadLetterWriter
from spark_jobs.lib.supervisor import QuerySupervisor

SERVICE = "stream_processor"
_SPARK_STOP_SECONDS = 4.0
_POLL_SECONDS = 0.1

log = get_logger("stream_processor")


class StreamProcessorJob:
    """Everything the process owns. Call :meth:`run` once, from the main thread.

    ``session`` becomes the Spark session; its JVM takes seconds to start, and everything else is got ready meanwhile.
    Raises ``OSError`` when the health port is taken.
    """

    def __init__(self, settings: Settings, session: Future[SparkSession]) -> None:
        self._settings, self._clock, self._stop = settings, SystemClock(), threading.Event()
        self._started_at = utc_text(self._clock.time_ms())
        self._progress = Progress(self._clock)
        self._metrics = Metrics(self._progress)
        self._engine = create_warehouse_engine(settings)
        self._group_offsets = GroupOffsets(OffsetCommitter(settings.bootstrap_servers, settings.trades_topic))
        self._heartbeat = Heartbeat(self._engine, SERVICE, self._clock)
        self._dead_letters = DeadLetterWriter(settings.bootstrap_servers, settings.trades_topic, settings.symbols)
        notes = ProcessorNotes(settings)
        self._last_words = LastWords(notes, settings.checkpoint_dir, self._clock)
        aggregator = Aggregator(settings.symbols)
        sink = BatchSink(settings.windows, round(settings.watermark_seconds * 1000), SERVICE, self._clock)
        self._processor = BatchProcessor(
            aggregator=aggregator,
            dead_letters=self._dead_letters,
            transactions=TransactionRunner(
                self._engine, settings.mysql_retry_seconds, self._stop, self._clock, self._on_mysql_retry
            ),
            sink=sink,
            poison=PoisonHandler(
                search=PoisonSearch(aggregator, self._engine, sink, self._stop),
                dead_letters=self._dead_letters,
                notes=notes,
                progress=self._progress,
                clock=self._clock,
            ),
            group_offsets=self._group_offsets,
            progress=self._progress,
            metrics=self._metrics,
            clock=self._clock,
            stop=self._stop,
            on_commit=self._last_words.committed,
        )
        self._health = HealthEndpoint(
            settings.processor_health_port, self._snapshot, self._metrics.registry, settings.listen_host
        )
        self._opening: Future[Opening] | None = None
        self._session = session
        self._query: Any = None

    def run(self) -> int:
        """Run until SIGTERM or SIGINT (returns 0), or until the query cannot be kept running (returns 1)."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._stop.set())
        self._health.start()
        self._opening = ThreadPoolExecutor(1).submit(find_opening, self._settings, self._engine)
        while not self._session.done():
            if self._stop.wait(_POLL_SECONDS):
                return self._shut_down(Failure.STOPPING)
        spark = self._session.result()
        log.info("session started", pid=os.getpid(), spark=spark.version)
        make_archive_in_background(spark, archive_path(self._settings), self._progress, self._stop)
        return self._shut_down(self._supervise())

    def _supervise(self) -> Failure:
        return QuerySupervisor(
            start=self._start_query,
            batch_failure=lambda: self._processor.failure,
            progress=self._progress,
            retry_seconds=self._settings.stream_retry_seconds,
            stop=self._stop,
            clock=self._clock,
            on_restart=self._metrics.query_restarts.inc,
            on_give_up=lambda error: self._last_words.give_up(error, self._processor.failed_batch),
        ).run()

    def _start_query(self) -> Any:
        opening = self._opening.result() if self._opening else find_opening(self._settings, self._engine)
        self._opening = None  # after a failure everything may be different
        self._heartbeat.start()
        self._progress.record_opening(opening.counted_offsets, _symbols(opening))
        self._processor.serve(
            QueryIdentity(
                lambda: read_query_id(self._settings.checkpoint_dir), self._settings.trades_topic, opening.topic_id
            )
        )
        log.info("query starts", at=opening.start.reason.value, offsets=opening.start.offsets)
        self._query = start_query(self._session.result(), self._settings, self._processor, opening.start)
        self._progress.record_query(str(self._query.id), str(self._query.runId), QUERY_NAME)
        return self._query

    def _on_mysql_retry(self, kind: ErrorKind) -> None:
        self._progress.set_status(JobStatus.RETRYING_MYSQL)
        self._progress.set_error(f"mysql: {kind.value}, the transaction is tried again", kind)
        self._metrics.mysql_retry(kind)

    def _snapshot(self) -> dict[str, Any]:
        fixed = {"service": SERVICE, "pid": os.getpid(), "started_at": self._started_at}
        names = ("micro_batch_seconds", "max_offsets_per_trigger")  # in force: they may be changed for a time
        return {**fixed, "settings": {n: getattr(self._settings, n) for n in names}, **self._progress.snapshot()}

    def _shut_down(self, failure: Failure) -> int:
        """Let the running batch finish, or abandon it: nothing of it is committed, and it is planned again."""
        code = 0 if failure is Failure.STOPPING else 1
        self._progress.set_status(JobStatus.STOPPING)
        if not self._progress.wait_idle(self._settings.processor_stop_seconds):
            log.warning("the running batch is abandoned", age_seconds=round(self._progress.batch_age(), 1))
        self._group_offsets.close()
        self._heartbeat.close()
        stopper = threading.Thread(target=self._stop_spark, name="stop-spark", daemon=True)
        stopper.start()
        stopper.join(_SPARK_STOP_SECONDS)
        if stopper.is_alive():
            log.warning("Spark does not stop; its JVM is killed")
        self._dead_letters.close()
        self._health.close()
        self._engine.dispose()
        log.info("stopped", exit_code=code, reason=failure.value)
        self._kill_jvm()
        return code

    def _stop_spark(self) -> None:
        try:
            if self._query is not None:
                self._query.stop()
        except Exception as error:  # a query that died, or a JVM that is gone, is stopped as well
            log.warning("query did not stop cleanly", error=error_text(error)[:200])

    def _kill_jvm(self) -> None:
        """The session holds nothing that a kill could lose, and an orderly end of the JVM takes a second more."""
        if self._session.done() and self._session.exception() is None:
            process = getattr(self._session.result().sparkContext._gateway, "proc", None)
            if process is not None:
                process.kill()


def _symbols(opening: Opening) -> dict[str, SymbolState]:
    return {
        row.symbol: SymbolState(row.newest_trade_id, None, row.newest_window_end.strftime("%Y-%m-%dT%H:%M:%S.000Z"))
        for row in opening.symbols
    }
