"""Errors of the stream processor."""

from __future__ import annotations

from collections.abc import Sequence

from include.runtime.processor_notes import Culprit


class StreamError(Exception):
    """The stream processor cannot go on. The text is meant for a person."""


class StopRequestedError(StreamError):
    """The process is stopping; the batch is given up before anything of it is written."""


class DeadLettersError(StreamError):
    """Dead letters were not acknowledged by Kafka in time; the batch must be tried again."""


class PoisonBatchError(StreamError):
    """A batch fails at its data whenever it is tried. ``culprits``: the rows at fault, as far as they were found;
    ``more``: there are more of them than were looked for.
    """

    def __init__(self, batch_id: int, culprits: Sequence[Culprit], more: bool, cause: Exception) -> None:
        if more:
            found = "more rows are at fault than single mistakes explain, among them "
        else:
            found = "rows at fault: " if culprits else "no single row at fault was found"
        names = ", ".join(culprit.name for culprit in culprits[:3])
        super().__init__(
            f"batch {batch_id} cannot be counted; {found}{names}: {culprits[0].error if culprits else cause}"
        )
        self.batch_id, self.culprits, self.more, self.cause = batch_id, tuple(culprits), more, cause
