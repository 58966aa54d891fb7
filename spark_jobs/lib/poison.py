"""What becomes of a batch that fails at its data, whenever it is tried.

A trade that passed every check and is refused all the same is news: the tables, or the form of the records, have
changed. So the job finds out which rows are at fault, gives up and says so; it sets them aside only when it is told to,
which the guardrails of the remedies bound. A row that was set aside once is set aside again when it is sent again.
"""

from __future__ import annotations

from collections.abc import Callable

from pyspark.sql import DataFrame

from include.runtime.clock import Clock
from include.runtime.logging import get_logger
from include.runtime.processor_notes import ProcessorNotes
from include.warehouse.sink import Batch
from spark_jobs.lib.aggregate import Aggregate
from spark_jobs.lib.errors import PoisonBatchError
from spark_jobs.lib.poison_row import PoisonRow
from spark_jobs.lib.poison_search import PoisonSearch
from spark_jobs.lib.progress import Phase, Progress
from spark_jobs.lib.rejects import DeadLetterWriter

_MOST_NAMED = 20  # rows that a failure names

log = get_logger("stream_processor")


class PoisonHandler:
    """Decides about such batches."""

    def __init__(
        self,
        *,
        search: PoisonSearch,
        dead_letters: DeadLetterWriter,
        notes: ProcessorNotes,
        progress: Progress,
        clock: Clock,
    ) -> None:
        self._search, self._dead_letters, self._notes = search, dead_letters, notes
        self._progress, self._clock = progress, clock

    def set_aside(
        self, records: DataFrame, batch_of: Callable[[Aggregate], Batch], batch_id: int, error: Exception
    ) -> list[PoisonRow]:
        """The rows at fault (at least one), which are in the dead letters now: the batch is to be tried without them.

        Raises :class:`PoisonBatchError`, from ``error``, when it must not be done or cannot help, and the errors of
        Spark, MySQL and Kafka that do not lie in the data.
        """
        order = self._notes.order(self._clock.time_ms())
        with self._progress.phase(Phase.ISOLATE):
            found = self._search.find(records, batch_of, order.most if order else _MOST_NAMED)
        culprits = [row.culprit for row in found.rows]
        told = order is not None or self._notes.set_aside().knows(culprits)
        if not told or found.more or not found.rows:
            raise PoisonBatchError(batch_id, culprits[:_MOST_NAMED], found.more, error) from error
        with self._progress.phase(Phase.DEAD_LETTERS):
            self._dead_letters.write_refused(found.rows)
        self._notes.remember_set_aside(culprits)
        log.warning(
            "rows set aside", batch=batch_id, rows=len(found.rows), by=order.by if order else "an earlier order",
            culprits=[culprit.name for culprit in culprits[:_MOST_NAMED]],
        )  # fmt: skip
        return found.rows
