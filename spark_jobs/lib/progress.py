"""What the job is doing right now, told by the job itself: Spark's listener speaks only when a batch has ended."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from include.runtime.clock import Clock
from include.warehouse.moments import from_ms

_KEPT_BATCHES, _RECENT_BATCHES = 240, 5


def utc_text(ms: int) -> str:
    """Milliseconds since the epoch in ISO 8601."""
    return f"{from_ms(ms).replace(' ', 'T')}Z"


class JobStatus(StrEnum):
    """State of the whole process."""

    STARTING = "starting"
    RUNNING = "running"
    RETRYING_MYSQL = "retrying_mysql"
    RESTARTING_QUERY = "restarting_query"
    STOPPING = "stopping"
    FAILED = "failed"


class Phase(StrEnum):
    """Where a running batch is."""

    AGGREGATE = "aggregate"
    DEAD_LETTERS = "dead_letters"
    RECOUNT = "recount"
    ISOLATE = "isolate"  # the rows are searched because of which the batch fails
    MYSQL = "mysql"


@dataclass
class SymbolState:
    """How far one symbol is."""

    newest_trade_id: int | None = None
    newest_event_time_ms: int | None = None
    newest_window_end: str | None = None


@dataclass
class Progress:
    """Shared between the batch thread, the supervising thread and the health endpoint; every access holds the lock."""

    clock: Clock
    status: JobStatus = JobStatus.STARTING
    query: dict[str, Any] = field(default_factory=dict)
    last_batch: dict[str, Any] | None = None
    offsets: dict[int, int] = field(default_factory=dict)
    symbols: dict[str, SymbolState] = field(default_factory=dict)
    last_error: dict[str, Any] | None = None
    committed_batches: int = 0

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._batch_id: int | None = None
        self._phase: Phase | None = None
        self._since = self._phase_since = 0.0
        self._durations: dict[str, int] = {}
        self._idle = threading.Condition(self._lock)
        self._past: deque[dict[str, Any]] = deque(maxlen=_KEPT_BATCHES)  # newest last

    @contextmanager
    def batch(self, batch_id: int) -> Iterator[None]:
        """Around one batch, from its first to its last moment."""
        with self._lock:
            self._batch_id, self._since, self._durations = batch_id, self.clock.monotonic(), {}
        try:
            yield
        finally:
            with self._lock:
                self._batch_id = self._phase = None
                self._idle.notify_all()

    @contextmanager
    def phase(self, phase: Phase) -> Iterator[None]:
        """Around one phase of the running batch; phases may nest, time counts for each."""
        started = self.clock.monotonic()
        with self._lock:
            outer, outer_since = self._phase, self._phase_since
            self._phase, self._phase_since = phase, started
        try:
            yield
        finally:
            spent = round((self.clock.monotonic() - started) * 1000)
            with self._lock:
                self._phase, self._phase_since = outer, outer_since
                self._durations[phase.value] = self._durations.get(phase.value, 0) + spent

    def durations_ms(self) -> dict[str, int]:
        """Time spent in each phase of the running batch so far, and in all (``total``)."""
        with self._lock:
            return {**self._durations, "total": round((self.clock.monotonic() - self._since) * 1000)}

    def batch_age(self) -> float:
        """Seconds since the running batch began; 0 when none runs."""
        with self._lock:
            return 0.0 if self._batch_id is None else self.clock.monotonic() - self._since

    def wait_idle(self, timeout: float) -> bool:
        """Wait until no batch runs; whether that came true in time."""
        with self._lock:
            return self._idle.wait_for(lambda: self._batch_id is None, timeout)

    def set_status(self, status: JobStatus) -> None:
        """Change the state; a process that is stopping stays so."""
        with self._lock:
            if self.status is not JobStatus.STOPPING:
                self.status = status

    def set_error(self, message: str, kind: str, number: int | None = None) -> None:
        """Remember the newest error in one line, its class (see :mod:`spark_jobs.lib.failures`) and its number."""
        at = utc_text(self.clock.time_ms())
        with self._lock:
            self.last_error = {"message": message[:500], "kind": kind, "number": number, "at": at}

    def snapshot(self) -> dict[str, Any]:
        """For ``/health``. ``now``: by the clock that wrote the other moments, so that they have ages."""
        with self._lock:
            now, running = self.clock.monotonic(), self._batch_id is not None
            return {
                "now": utc_text(self.clock.time_ms()),
                "status": self.status.value,
                "query": self.query,
                "batch": {
                    "id": self._batch_id,
                    "running": running,
                    "phase": self._phase.value if self._phase else None,
                    "age_seconds": round(now - self._since, 3) if running else 0.0,
                    "phase_age_seconds": round(now - self._phase_since, 3) if self._phase else 0.0,
                },
                "last_batch": self.last_batch,
                "pace": {
                    "recent": _pace(list(self._past)[-_RECENT_BATCHES:]),
                    "before": _pace(list(self._past)[:-_RECENT_BATCHES]),
                },
                "offsets": {str(partition): offset for partition, offset in self.offsets.items()},
                "symbols": {symbol: vars(state).copy() for symbol, state in self.symbols.items()},
                "last_error": self.last_error,
            }

    def record_opening(self, offsets: dict[int, int], symbols: dict[str, SymbolState]) -> None:
        """What is counted already when the query starts; what this process has counted since is known better."""
        with self._lock:
            self.offsets = {**offsets, **self.offsets}
            self.symbols = {**symbols, **self.symbols}

    def record_query(self, query_id: str, run_id: str, name: str) -> None:
        """The query runs."""
        with self._lock:
            self.query = {"id": query_id, "run_id": run_id, "name": name}
            if self.status is not JobStatus.STOPPING:
                self.status = JobStatus.RUNNING

    def record(self, last_batch: dict[str, Any], offsets: dict[int, int], symbols: dict[str, SymbolState]) -> None:
        """A batch is committed."""
        with self._lock:
            self.last_batch = last_batch
            if self.committed_batches:  # the first one of a process is slow by nature
                self._past.append(last_batch)
            self.offsets = {**self.offsets, **offsets}
            self.symbols = {**self.symbols, **symbols}
            self.committed_batches += 1
            if self.status is not JobStatus.STOPPING:
                self.status = JobStatus.RUNNING


def _pace(batches: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Sums over batches: how many, their rows, and the seconds spent on them by phase (``total``: in all)."""
    count, rows, seconds = 0, 0, dict[str, float]()
    for batch in batches:
        count += 1
        rows += batch.get("input_rows", 0)
        for phase, spent in batch.get("duration_ms", {}).items():
            seconds[phase] = seconds.get(phase, 0.0) + spent / 1000
    return {"batches": count, "rows": rows, "seconds": {phase: round(spent, 3) for phase, spent in seconds.items()}}
