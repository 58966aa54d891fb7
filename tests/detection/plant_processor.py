"""The simulated stream processor: a query that must start, micro-batches with phases, retries, and its own end.

Follows ``spark_jobs.lib``: over Kafka the query is restarted for two minutes, over MySQL a batch is retried for one;
everything else ends the process, which supervision brings back.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from include.health.observations import Code
from spark_jobs.lib.progress import JobStatus, Phase
from tests.detection.plant_kafka import Broker
from tests.detection.plant_mysql import STRUCTURAL, Database, Refusal
from tests.detection.plant_processes import Process

_SESSION_SECONDS = 9.0  # from the process's first answer to the query
_FIRST_BATCH_SECONDS = (4.0, 14.0)
_KAFKA_GIVES_UP_SECONDS, _KAFKA_RETRY_SECONDS = 7.0, 120.0
_MYSQL_RETRY_SECONDS = 60.0
_LONGEST_PAUSE, _SHUT_DOWN_SECONDS = 4.0, 2.0
_NOISE = 509
_LOG_CLASSES = {"kafka": "kafka", "mysql": "mysql"}  # include.health.probes.log_events


def _kind(refusal: Refusal) -> Code:
    """As the job classifies it: it does not tell ways of not reaching the server apart."""
    return Code.CONNECTIVITY if refusal.code in (Code.REFUSED, Code.UNREACHABLE, Code.TIMEOUT) else refusal.code


@dataclass
class Batch:
    """The running micro-batch. ``mysql_at``: when its aggregation is done."""

    began: float
    ends: tuple[int, int]
    rows: int
    mysql_at: float
    done_at: float
    refused_at: float | None = None


@dataclass(frozen=True)
class Done:
    """The newest committed batch."""

    id: int
    rows: int
    committed_at: float
    seconds: float
    mysql_seconds: float


class Processor:
    """``done`` offsets by partition are what is counted in MySQL.

    Knobs of a script: ``hang`` (the JVM stands still within a batch), ``stuck`` (no batch is planned any more),
    ``cut_off`` (it alone cannot talk to Kafka), ``program_error`` (each batch fails), ``rows_per_second`` (of one
    partition), ``interval`` (micro-batch seconds), ``most_offsets`` (of one batch), ``slow`` (factor of what a batch
    takes anyway), ``pause_seconds`` (what the next batch takes longer, once).
    """

    def __init__(self, process: Process, broker: Broker, database: Database, rng: random.Random) -> None:
        self.process, self._broker, self._database, self._rng = process, broker, database, rng
        self.interval, self.rows_per_second = 1.0, 25_000.0
        self.most_offsets, self.slow = 500_000, 1.0
        self.hang = self.stuck = self.cut_off = False
        self.program_error: str | None = None
        self.pause_seconds = 0.0
        self.done = [0, 0]
        self.batches, self.query_runs = 0, 1
        self.last: Done | None = None  # of this process
        self.committed_at, self.rows_at = 0.0, 0.0
        self.status = JobStatus.STARTING
        self.batch: Batch | None = None
        self.error: str | None = None
        self.error_at, self.error_code, self.error_number = 0.0, Code.UNKNOWN, None
        self.errors: dict[str, int] = {}  # lines for the log since somebody looked
        self._pid, self._ran_before = 0, False
        self._query_at = 0.0  # the next try to start the query
        self._query_runs = False
        self._unreadable_since: float | None = None
        self._failing_since: float | None = None
        self._pause = 0.5
        self._ends_at: float | None = None
        self._noise = [rng.lognormvariate(-1.1, 0.25) for _ in range(_NOISE)]  # about a third of a second
        self._turn = rng.randrange(_NOISE)

    def begin(self, now: float) -> None:
        """It has been running since long before the story."""
        self._pid = self.process.pid
        self._ran_before = self._query_runs = True
        self.status, self.batches = JobStatus.RUNNING, 7_000
        self.last = Done(7_000, 20, now - 0.5, 0.4, 0.06)
        self.committed_at = self.rows_at = now - 0.5

    # --- Time passes -------------------------------------------------------------------------------------------
    def step(self, now: float) -> None:
        """One second of work."""
        process = self.process
        if not process.answers:
            return
        if process.pid != self._pid:
            self._boot(now)
        if self._ends_at is not None:
            if now >= self._ends_at:
                process.end(now, 1)
            return
        if not self._query_runs:
            if now >= self._query_at:
                self._start_query(now)
        elif self.batch is not None:
            self._go_on(now, self.batch)
        else:
            self._plan(now)

    def _boot(self, now: float) -> None:
        self._pid, self._query_runs, self.status = self.process.pid, False, JobStatus.STARTING
        self._query_at = now + _SESSION_SECONDS * self._rng.uniform(0.8, 1.4)
        self.batch = self.last = self.error = self._failing_since = self._unreadable_since = self._ends_at = None
        self._pause = 0.5
        self.pause_seconds = self._rng.uniform(*_FIRST_BATCH_SECONDS) if not self._ran_before else 2.5
        self._ran_before = True

    def _start_query(self, now: float) -> None:
        refusal = self._database.refusal()
        if not self._broker.process.answers or self.cut_off:
            self._query_failed(now, "kafka: KafkaException: Local: Broker transport failure", Code.TRANSPORT)
        elif refusal is not None and (not refusal.reads or refusal.code is Code.CAPACITY):  # it reads first
            self._query_failed(
                now,
                f"mysql: {refusal.text}",
                _kind(refusal),
                number=refusal.number,
                may_retry=refusal.code not in STRUCTURAL,
            )
        else:
            self._query_runs, self.status = True, JobStatus.RUNNING
            self.query_runs += 1
            self._unreadable_since = None

    def _plan(self, now: float) -> None:
        """Begin a batch if there is something unread; Kafka must answer for that."""
        if self.stuck:
            return
        if not self._broker.process.answers or self.cut_off:
            self._unreadable_since = self._unreadable_since or now
            if now - self._unreadable_since >= _KAFKA_GIVES_UP_SECONDS:
                self._query_failed(now, "kafka: TimeoutException: Timed out waiting for a node", Code.TRANSPORT)
            return
        self._unreadable_since = None
        if self._broker.committed != self.done:
            self._broker.commit((self.done[0], self.done[1]))  # tried again until it succeeds
        if now % self.interval >= 1.0:
            return
        ends, done = self._broker.ends, self.done
        first, second = ends[0] - done[0], ends[1] - done[1]
        if first or second:
            self._begin_batch(now, first, second)

    def _begin_batch(self, now: float, first: int, second: int) -> None:
        rows = first + second
        if rows > self.most_offsets:  # each partition its share, as Spark does it
            first = round(first * self.most_offsets / rows)
            second = self.most_offsets - first
            rows = self.most_offsets
        self._turn = turn = (self._turn + 1) % _NOISE
        aggregate = self._noise[turn] * self.slow + max(first, second) / self.rows_per_second + self.pause_seconds
        self.pause_seconds = 0.0
        database = self._database
        mysql = 0.06 * database.slow + rows * database.seconds_per_row
        began = now - 0.95
        mysql_at = began + aggregate
        ends = (self.done[0] + first, self.done[1] + second)
        self.batch = batch = Batch(began, ends, rows, mysql_at, mysql_at + mysql)
        self._go_on(now, batch)

    def _go_on(self, now: float, batch: Batch) -> None:
        """What of the batch is done by now."""
        if self.hang:
            batch.mysql_at = max(batch.mysql_at, now + 1.0)
            batch.done_at = max(batch.done_at, now + 2.0)
            return
        if now < batch.mysql_at:
            return
        if self.program_error is not None:
            self._query_failed(now, self.program_error, Code.UNKNOWN, may_retry=False)
            return
        refusal = self._database.refusal()
        if refusal is not None:
            self._refused(now, batch, refusal)
        elif batch.refused_at is not None:
            batch.refused_at, batch.done_at = None, now + 0.5  # the next try succeeds
        if refusal is None and batch.done_at <= now:
            self._commit(batch)

    def _commit(self, batch: Batch) -> None:
        at = batch.done_at
        self.batch = None
        self.batches += 1
        self.done[0], self.done[1] = batch.ends
        self.last = Done(self.batches, batch.rows, at, at - batch.began, at - batch.mysql_at)
        self.committed_at = self.rows_at = at
        self.status, self._failing_since, self._pause = JobStatus.RUNNING, None, 0.5
        self._broker.commit(batch.ends)

    def _refused(self, now: float, batch: Batch, refusal: Refusal) -> None:
        if batch.refused_at is None:
            batch.refused_at = now
        waited = now - batch.refused_at
        if waited < refusal.seconds:
            return
        if refusal.code in STRUCTURAL or waited >= _MYSQL_RETRY_SECONDS:
            self._query_failed(now, f"mysql: {refusal.text}", _kind(refusal), number=refusal.number, may_retry=False)
            return
        self.status = JobStatus.RETRYING_MYSQL
        self.error, self.error_at = f"mysql: {_kind(refusal).value}, the transaction is tried again", now
        self.error_code, self.error_number = _kind(refusal), None
        if int(waited) % 4 == 0:
            self._note("mysql")

    def _query_failed(
        self, now: float, error: str, code: Code, *, number: int | None = None, may_retry: bool = True
    ) -> None:
        self.error, self.error_at, self.error_code, self.error_number = error, now, code, number
        self._note(_LOG_CLASSES.get(error.split(":", 1)[0], "other"))
        self._query_runs, self.batch, self._unreadable_since = False, None, None
        self._failing_since = self._failing_since or now
        if may_retry and now - self._failing_since <= _KAFKA_RETRY_SECONDS:
            self.status = JobStatus.RESTARTING_QUERY
            self._query_at = now + self._pause + 3.0  # the try itself takes its time-outs
            self._pause = min(self._pause * 2, _LONGEST_PAUSE)
        else:
            self.status, self._ends_at = JobStatus.FAILED, now + _SHUT_DOWN_SECONDS

    def _note(self, kind: str) -> None:
        self.errors[kind] = self.errors.get(kind, 0) + 1

    # --- For the looks -----------------------------------------------------------------------------------------
    def phase_age(self, now: float) -> float:
        """Seconds that the running batch has been in its phase."""
        batch = self.batch
        if batch is None:
            return 0.0
        return now - (batch.began if now < batch.mysql_at else batch.mysql_at)

    def phase(self, now: float) -> Phase | None:
        """Where the running batch is."""
        if self.batch is None:
            return None
        return Phase.AGGREGATE if now < self.batch.mysql_at else Phase.MYSQL
