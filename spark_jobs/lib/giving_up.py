"""What is left behind when the process gives up, and taken away when a batch is committed again."""

from __future__ import annotations

import threading
from contextlib import suppress
from pathlib import Path

from include.runtime.clock import Clock
from include.runtime.processor_notes import LastFailure, ProcessorNotes
from spark_jobs.lib.checkpoint import read_query_id
from spark_jobs.lib.error_classes import error_class
from spark_jobs.lib.errors import PoisonBatchError
from spark_jobs.lib.failures import PLAN, error_text
from spark_jobs.lib.progress import utc_text

_LONGEST = 500


class LastWords:
    """Writes the note of a failure; ``checkpoint``: the folder that tells the query's id."""

    def __init__(self, notes: ProcessorNotes, checkpoint: Path, clock: Clock) -> None:
        self._notes, self._checkpoint, self._clock = notes, checkpoint, clock
        self._clean = threading.Event()  # nothing of an earlier life is left to be taken away

    def give_up(self, error: BaseException, batch_id: int | None) -> None:
        """The process ends because of ``error``, on ``batch_id`` if it was a batch."""
        kind, number = error_class(error)
        poison = error if isinstance(error, PoisonBatchError) else None
        self._notes.gave_up(
            LastFailure(
                kind=kind.value,
                number=number,
                message=" ".join(error_text(error).split(PLAN)[0].split())[:_LONGEST],
                at=utc_text(self._clock.time_ms()),
                query_id=self._query_id(),
                batch_id=batch_id,
                culprits=poison.culprits if poison else (),
                more_culprits=poison.more if poison else False,
            )
        )

    def committed(self) -> None:
        """A batch is committed."""
        if not self._clean.is_set():
            self._notes.recovered()
            self._clean.set()

    def _query_id(self) -> str | None:
        with suppress(OSError, ValueError, KeyError):
            return read_query_id(self._checkpoint)
        return None
