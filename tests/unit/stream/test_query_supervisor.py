"""When the query is started again in the same process, and when the process gives up."""

from __future__ import annotations

import threading

import pytest
from confluent_kafka import KafkaError, KafkaException

from include.runtime.clock import ManualClock
from include.warehouse.error_numbers import ErrorKind
from include.warehouse.errors import RetryInterruptedError, WarehouseFailedError
from spark_jobs.lib.errors import DeadLettersError, PoisonBatchError, StopRequestedError
from spark_jobs.lib.failures import Failure, classify_failure, error_text
from spark_jobs.lib.progress import JobStatus, Progress
from spark_jobs.lib.supervisor import QuerySupervisor

KAFKA_AWAY = RuntimeError("org.apache.kafka.common.errors.TimeoutException: Timed out waiting for a node assignment")


class Query:
    """A query that has ended."""

    isActive = False  # noqa: N815 - Spark's name

    def __init__(self, error: Exception) -> None:
        self._error = error

    def exception(self) -> Exception:
        return self._error


class Story:
    """Each life of the query ends with the next error; the stop is set when they are used up."""

    def __init__(self, errors: list[Exception], seconds_each: float = 1, commits: bool = False) -> None:
        self.errors, self.seconds_each, self.commits = errors, seconds_each, commits
        self.clock, self.lives, self.restarts = ManualClock(), 0, 0
        self.gave_up: list[BaseException] = []
        self.progress = Progress(self.clock)
        self.stop = _Waiting(self.clock)
        self.supervisor = QuerySupervisor(
            start=self.start,
            batch_failure=lambda: None,
            progress=self.progress,
            retry_seconds=60,
            stop=self.stop,
            clock=self.clock,
            on_restart=self.restarted,
            on_give_up=self.gave_up.append,
        )

    def restarted(self) -> None:
        self.restarts += 1

    def start(self) -> Query:
        self.lives += 1
        self.clock.advance(self.seconds_each)
        self.progress.committed_batches += self.commits
        if not self.errors:
            self.stop.set()
            return Query(RuntimeError("stopped"))
        return Query(self.errors.pop(0))


class _Waiting(threading.Event):
    def __init__(self, clock: ManualClock) -> None:
        super().__init__()
        self._clock = clock

    def wait(self, timeout: float | None = None) -> bool:
        self._clock.advance(timeout or 0)
        return self.is_set()


def test_kafka_troubles_are_waited_out() -> None:
    story = Story([KAFKA_AWAY] * 5)
    assert story.supervisor.run() is Failure.STOPPING
    assert (story.lives, story.restarts) == (6, 5)
    assert story.progress.last_error is not None
    assert story.progress.last_error["kind"] == "timeout"
    assert story.gave_up == []


def test_not_for_ever() -> None:
    story = Story([KAFKA_AWAY] * 100)
    assert story.supervisor.run() is Failure.KAFKA
    assert 60 <= story.clock.monotonic() < 70
    assert story.progress.status is JobStatus.FAILED


def test_each_trouble_has_a_budget_of_its_own() -> None:
    story = Story([KAFKA_AWAY] * 100, seconds_each=5, commits=True)
    assert story.supervisor.run() is Failure.STOPPING
    assert story.clock.monotonic() > 300


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        (RuntimeError("a bug"), Failure.PROGRAM),
        (WarehouseFailedError(ErrorKind.CREDENTIALS, 1045, 1, 0.0, ValueError()), Failure.MYSQL),
        (PoisonBatchError(3, [], False, ValueError()), Failure.DATA),
        (RuntimeError("Failed to read log file file:/c/offsets/4. org.apache.kafka"), Failure.CHECKPOINT),
    ],
)
def test_what_is_not_kafkas_fault_ends_the_process(error: Exception, failure: Failure) -> None:
    story = Story([error, KAFKA_AWAY])
    assert story.supervisor.run() is failure
    assert story.lives == 1
    assert story.gave_up == [error]


def test_a_stop_is_no_failure_whatever_breaks_meanwhile() -> None:
    story = Story([RuntimeError("the JVM is gone")])
    story.stop.set()
    assert story.supervisor.run() is Failure.STOPPING


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        (StopRequestedError("stopping"), Failure.STOPPING),
        (RetryInterruptedError("stopping"), Failure.STOPPING),
        (KafkaException(KafkaError(KafkaError._ALL_BROKERS_DOWN)), Failure.KAFKA),
        (DeadLettersError("3 not acknowledged"), Failure.KAFKA),
        (KAFKA_AWAY, Failure.KAFKA),
        (
            RuntimeError("Some data may have been lost because they are not available in Kafka any more"),
            Failure.KAFKA,
        ),
        (RuntimeError("[KAFKA_DATA_LOSS.START_OFFSET_RESET] data may have been lost"), Failure.KAFKA),
    ],
)
def test_failures_are_told_apart(error: Exception, failure: Failure) -> None:
    assert classify_failure(error) is failure


def test_an_error_whose_words_are_gone_still_has_a_name() -> None:
    class UnspeakableError(Exception):
        def __str__(self) -> str:
            raise ConnectionRefusedError

    assert error_text(UnspeakableError()) == "UnspeakableError (its JVM is gone)"
    assert classify_failure(UnspeakableError()) is Failure.PROGRAM
