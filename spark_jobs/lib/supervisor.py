"""Keeps the query running: over a broker that is away it is started again in this process, for a bounded time.

A restart here takes a second or two; leaving it to the process's own supervision would cost a JVM start each time and
use up its restart budget. What is not Kafka's fault, or lasts too long, ends the process: then supervision takes over.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol

from include.runtime.clock import Clock
from include.runtime.logging import get_logger
from spark_jobs.lib.error_classes import error_class
from spark_jobs.lib.failures import RESTARTABLE, Failure, classify_failure, error_text
from spark_jobs.lib.progress import JobStatus, Progress

_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 4.0
_POLL_SECONDS = 0.2

log = get_logger("stream_processor")


class RunningQuery(Protocol):
    """What is needed of Spark's ``StreamingQuery``."""

    @property
    def isActive(self) -> bool:  # noqa: N802 - Spark's name
        """Whether it runs."""
        ...

    def exception(self) -> Exception | None:
        """What ended it."""
        ...


class QuerySupervisor:
    """Runs ``start`` again and again. ``batch_failure``: what the last batch raised, if it was the batch."""

    def __init__(
        self,
        *,
        start: Callable[[], RunningQuery],
        batch_failure: Callable[[], BaseException | None],
        progress: Progress,
        retry_seconds: float,
        stop: threading.Event,
        clock: Clock,
        on_restart: Callable[[], None] = lambda: None,
        on_give_up: Callable[[BaseException], None] = lambda error: None,
    ) -> None:
        self._start, self._batch_failure, self._progress = start, batch_failure, progress
        self._retry_seconds, self._stop, self._clock = retry_seconds, stop, clock
        self._on_restart, self._on_give_up = on_restart, on_give_up

    def run(self) -> Failure:
        """Return when the process is stopping (:attr:`Failure.STOPPING`) or the query cannot be kept running."""
        pause, failing_since, committed = _FIRST_PAUSE, self._clock.monotonic(), self._progress.committed_batches
        while not self._stop.is_set():
            error = self._run_once()
            if error is None:
                break
            if self._stop.is_set():  # whatever broke, it broke while being stopped
                break
            if self._progress.committed_batches > committed:  # it worked in between: a new trouble, a new budget
                committed = self._progress.committed_batches
                pause, failing_since = _FIRST_PAUSE, self._clock.monotonic()
            failure, spent = classify_failure(error), self._clock.monotonic() - failing_since
            self._report(error, failure, spent)
            if failure not in RESTARTABLE or spent > self._retry_seconds:
                self._on_give_up(error)
                self._progress.set_status(JobStatus.FAILED)
                return failure
            self._progress.set_status(JobStatus.RESTARTING_QUERY)
            self._on_restart()
            self._stop.wait(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)
        return Failure.STOPPING

    def _run_once(self) -> BaseException | None:
        """One life of the query; what ended it, or ``None`` when the process is stopping."""
        try:
            query = self._start()
            while query.isActive:
                if self._stop.wait(_POLL_SECONDS):
                    return None
            return self._batch_failure() or query.exception() or RuntimeError("the query ended without an error")
        except Exception as error:  # Spark, Kafka and MySQL all raise here; each is told apart by classify_failure
            return error

    def _report(self, error: BaseException, failure: Failure, spent: float) -> None:
        message = " ".join(error_text(error).split())[:600]
        self._progress.set_error(f"{failure.value}: {message}", *error_class(error))
        log.error("query ended", failure=failure.value, failing_seconds=round(spent, 1), error=message)
