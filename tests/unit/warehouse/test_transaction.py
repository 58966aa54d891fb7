"""What is tried again, for how long, and what is not."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import mysql.connector
import pytest
from _mysql_connector import MySQLInterfaceError
from sqlalchemy.exc import OperationalError

from include.runtime.clock import ManualClock
from include.warehouse.error_numbers import ErrorKind, classify, describe
from include.warehouse.errors import RetryInterruptedError, WarehouseFailedError
from include.warehouse.transaction import TransactionRunner


def driver_error(number: int) -> OperationalError:
    return OperationalError("UPDATE", None, mysql.connector.Error(msg="the server's words", errno=number))


class Engine:
    """Stands in for the pool: counts what is done with it."""

    def __init__(self) -> None:
        self.begun = self.disposed = 0

    @contextmanager
    def begin(self) -> Iterator[object]:
        self.begun += 1
        yield object()

    def dispose(self) -> None:
        self.disposed += 1


class Waiting(threading.Event):
    """An event whose waiting moves the clock instead of taking time."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__()
        self._clock = clock

    def wait(self, timeout: float | None = None) -> bool:
        self._clock.advance(timeout or 0)
        return self.is_set()


class Story:
    """Work that fails with the given numbers first."""

    def __init__(self, numbers: list[int], retry_seconds: float = 60) -> None:
        self.engine, self.clock, self.kinds = Engine(), ManualClock(), []
        self.stop = Waiting(self.clock)
        self.numbers = numbers
        engine: Any = self.engine
        self.runner = TransactionRunner(engine, retry_seconds, self.stop, self.clock, self.kinds.append)

    def work(self, connection: object) -> str:
        if self.numbers:
            raise driver_error(self.numbers.pop(0))
        return "done"


@pytest.mark.parametrize(
    ("numbers", "kinds"),
    [
        ([], []),
        ([2013, 2003, 2003], [ErrorKind.CONNECTIVITY] * 3),
        ([1213], [ErrorKind.LOCKED]),
        ([1040, 1053, 1290, 1836], [ErrorKind.CAPACITY, ErrorKind.SHUTTING_DOWN, *[ErrorKind.READ_ONLY] * 2]),
        ([1114], [ErrorKind.DISK_FULL]),
    ],
)
def test_transient_errors_are_retried_as_a_whole(numbers: list[int], kinds: list[ErrorKind]) -> None:
    story = Story(numbers)
    assert story.runner.run(story.work) == "done"
    assert (story.kinds, story.engine.begun) == (kinds, len(kinds) + 1)


def test_a_connection_that_breaks_in_the_commit_is_retried_too() -> None:
    """The driver does not wrap that error, so neither does SQLAlchemy."""
    story, broken = Story([]), [MySQLInterfaceError("Lost connection to MySQL server during query")]
    broken[0].errno = 2013

    def work(connection: object) -> str:
        if broken:
            raise broken.pop()
        return "done"

    assert story.runner.run(work) == "done"
    assert story.kinds == [ErrorKind.CONNECTIVITY]


def test_only_a_lock_leaves_the_pool_alone() -> None:
    locked, broken = Story([1205]), Story([2006])
    locked.runner.run(locked.work)
    broken.runner.run(broken.work)
    assert (locked.engine.disposed, broken.engine.disposed) == (0, 1)


@pytest.mark.parametrize(
    ("number", "kind"),
    [(1045, ErrorKind.CREDENTIALS), (1146, ErrorKind.SCHEMA), (1264, ErrorKind.DATA), (9999, ErrorKind.UNKNOWN)],
)
def test_what_stays_wrong_fails_at_once_and_says_what(number: int, kind: ErrorKind) -> None:
    story = Story([number])
    with pytest.raises(WarehouseFailedError, match=f"{number} .*1 attempt ") as failure:
        story.runner.run(story.work)
    assert (failure.value.kind, failure.value.number) == (kind, number)


def test_retrying_ends_in_time() -> None:
    story = Story([2003] * 1000, retry_seconds=10)
    with pytest.raises(WarehouseFailedError, match="connectivity"):
        story.runner.run(story.work)
    assert 8 <= story.clock.monotonic() <= 10


def test_a_stop_ends_the_waiting() -> None:
    story = Story([2003] * 1000)
    story.stop.set()
    with pytest.raises(RetryInterruptedError):
        story.runner.run(story.work)
    assert story.engine.begun == 1


def test_other_errors_are_not_ours() -> None:
    story = Story([])

    def work(connection: object) -> None:
        raise KeyError("a bug")

    with pytest.raises(KeyError):
        story.runner.run(work)


def test_an_error_is_described_by_number_name_and_words() -> None:
    assert describe(driver_error(1213)).startswith("1213 ER_LOCK_DEADLOCK: ")
    assert "the server's words" in describe(driver_error(1213))


def test_errors_without_a_number_are_told_by_what_they_are() -> None:
    dead = OperationalError("SELECT", None, mysql.connector.Error(msg="gone"), connection_invalidated=True)
    assert classify(dead) is ErrorKind.CONNECTIVITY
    assert classify(TimeoutError()) is ErrorKind.CONNECTIVITY
    assert classify(ValueError()) is ErrorKind.UNKNOWN
