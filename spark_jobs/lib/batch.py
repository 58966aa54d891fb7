"""What happens to one micro-batch: aggregate → dead letters → MySQL → offsets of the consumer group."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pyspark.sql import DataFrame

from include.runtime.clock import Clock
from include.runtime.logging import get_logger
from include.warehouse.admission import Coverage, TradeGroup
from include.warehouse.ledger import BatchIdentity
from include.warehouse.moments import MINUTE_MS
from include.warehouse.mysql_store import MySQLStore
from include.warehouse.sink import Batch, BatchSink, Outcome, Receipt
from include.warehouse.transaction import TransactionRunner
from spark_jobs.lib.aggregate import Aggregate, Aggregator
from spark_jobs.lib.error_classes import is_data_error
from spark_jobs.lib.errors import StopRequestedError
from spark_jobs.lib.group_offsets import GroupOffsets
from spark_jobs.lib.metrics import Metrics
from spark_jobs.lib.poison import PoisonHandler
from spark_jobs.lib.poison_row import PoisonRow
from spark_jobs.lib.poison_search import without
from spark_jobs.lib.progress import Phase, Progress, SymbolState, utc_text
from spark_jobs.lib.rejects import DeadLetterWriter

log = get_logger("stream_processor")


@dataclass(frozen=True)
class QueryIdentity:
    """Whose batches these are: the query's id in its checkpoint, and the life of the topic it reads."""

    query_id: Callable[[], str]  # known only after the query has started
    topic: str
    topic_id: str


class BatchProcessor:
    """The function that Spark calls with each micro-batch.

    A batch that raises is not lost: nothing of it is committed, and Spark plans it again when the query is restarted.
    ``failure`` keeps what it raised, because Spark reports it as text only, and ``failed_batch`` which one it was.
    """

    def __init__(
        self,
        *,
        aggregator: Aggregator,
        dead_letters: DeadLetterWriter,
        transactions: TransactionRunner,
        sink: BatchSink,
        poison: PoisonHandler,
        group_offsets: GroupOffsets,
        progress: Progress,
        metrics: Metrics,
        clock: Clock,
        stop: threading.Event,
        on_commit: Callable[[], None] = lambda: None,
    ) -> None:
        self._aggregator, self._dead_letters, self._poison = aggregator, dead_letters, poison
        self._transactions, self._sink, self._group_offsets = transactions, sink, group_offsets
        self._progress, self._metrics, self._clock, self._stop = progress, metrics, clock, stop
        self._on_commit = on_commit
        self._identity: QueryIdentity | None = None
        self.failure: BaseException | None = None
        self.failed_batch: int | None = None

    def serve(self, identity: QueryIdentity) -> None:
        """Say which query the next batches belong to."""
        self._identity, self.failure, self.failed_batch = identity, None, None

    def __call__(self, records: DataFrame, batch_id: int) -> None:
        """Process one batch; on return it is committed. Raises whatever stands in the way."""
        with self._progress.batch(batch_id):
            try:
                self._process(records, batch_id)
            except BaseException as error:
                self.failure, self.failed_batch = error, batch_id
                raise

    def _process(self, records: DataFrame, batch_id: int) -> None:
        """Count the batch; what makes it fail at its data is set aside first, or ends it."""
        aside: list[PoisonRow] = []
        while True:
            rest = without(records, aside)
            try:
                return self._count(rest, batch_id, aside)
            except Exception as error:
                if not is_data_error(error):
                    raise
                aside += self._poison.set_aside(rest, lambda found: self._batch(found, batch_id), batch_id, error)

    def _count(self, records: DataFrame, batch_id: int, aside: list[PoisonRow]) -> None:
        self._check_stop()
        with self._progress.phase(Phase.AGGREGATE):
            found = self._aggregator.aggregate(records)
        if found.invalid_rows:
            with self._progress.phase(Phase.DEAD_LETTERS):
                self._dead_letters.write(self._aggregator.invalid(records), self._check_stop)
        self._check_stop()
        for row in aside:
            found.left_out(row.culprit.partition, row.culprit.offset)
        batch = self._batch(found, batch_id)
        recount = self._recount_once(records)
        with self._progress.phase(Phase.MYSQL):
            receipt = self._transactions.run(
                lambda connection: self._sink.apply(MySQLStore(connection), batch, recount)
            )
        self._on_commit()
        self._group_offsets.submit(receipt.end_offsets)
        self._report(found, receipt, batch_id, len(aside))

    def _check_stop(self) -> None:
        if self._stop.is_set():
            raise StopRequestedError("the process is stopping")

    def _batch(self, found: Aggregate, batch_id: int) -> Batch:
        if self._identity is None:
            raise RuntimeError("serve() comes before the first batch")
        return Batch(
            BatchIdentity(self._identity.query_id(), batch_id, self._identity.topic, self._identity.topic_id),
            found.start_offsets,
            found.end_offsets,
            found.groups,
            found.input_rows,
            found.invalid_rows,
            found.newest_event_time_ms,
        )

    def _recount_once(self, records: DataFrame) -> Callable[[Coverage], list[TradeGroup]]:
        """A recount that is not done again when a retried transaction finds the same trades counted."""
        done: list[tuple[Coverage, list[TradeGroup]]] = []

        def recount(coverage: Coverage) -> list[TradeGroup]:
            if not done or done[0][0] != coverage:
                with self._progress.phase(Phase.RECOUNT):
                    done[:] = [(coverage, self._aggregator.recount(records, coverage))]
            return done[0][1]

        return recount

    def _report(self, found: Aggregate, receipt: Receipt, batch_id: int, set_aside: int) -> None:
        durations = self._progress.durations_ms()
        last_batch: dict[str, Any] = {
            "id": batch_id,
            "outcome": receipt.outcome.value,
            "input_rows": found.input_rows,
            "invalid_rows": found.invalid_rows,
            "set_aside_rows": set_aside,
            "duplicate_rows": receipt.duplicate_rows,
            "late_rows": receipt.late_rows,
            "late_corrections": receipt.late_corrections,
            "window_rows": receipt.window_rows,
            "duration_ms": durations,
            "committed_at": utc_text(self._clock.time_ms()),
        }
        self._progress.record(last_batch, receipt.end_offsets, self._symbols(found, receipt))
        self._metrics.observe(found, receipt, durations, self._clock.time_ms())
        log.info("batch committed", **_flat(last_batch))
        if receipt.recounted:
            log.info("recounted trade by trade", symbols=sorted(receipt.recounted), duplicates=receipt.duplicate_rows)

    def _symbols(self, found: Aggregate, receipt: Receipt) -> dict[str, SymbolState]:
        if receipt.outcome is Outcome.ALREADY_COMMITTED:
            return {}
        states = {}
        for symbol, added in receipt.newest_ids.items():
            known = self._progress.symbols.get(symbol) or SymbolState()
            end = utc_text(receipt.newest_window_ends[symbol] * MINUTE_MS)
            states[symbol] = SymbolState(
                max(added, known.newest_trade_id or 0),
                max(found.newest_event_times_ms[symbol], known.newest_event_time_ms or 0),
                max(end, known.newest_window_end or ""),
            )
        return states


def _flat(last_batch: dict[str, Any]) -> dict[str, Any]:
    """For one line of log: the figures that are not zero."""
    shown = {name: value for name, value in last_batch.items() if value and name != "duration_ms"}
    return {**shown, **{f"{n}_ms": v for n, v in last_batch["duration_ms"].items()}}
