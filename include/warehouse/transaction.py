"""One unit of work in one transaction, tried again as a whole while the database is in trouble."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

import mysql.connector
from _mysql_connector import MySQLInterfaceError
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from include.runtime.clock import Clock, SystemClock
from include.runtime.logging import get_logger
from include.warehouse.error_numbers import TRANSIENT, ErrorKind, classify, describe, error_number
from include.warehouse.errors import RetryInterruptedError, WarehouseFailedError

T = TypeVar("T")

_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 1.0

# the last one comes bare from a commit or a rollback whose connection breaks: the driver does not wrap it there
_DATABASE_ERRORS = (SQLAlchemyError, mysql.connector.Error, MySQLInterfaceError)

log = get_logger("warehouse")


class TransactionRunner:
    """Runs work in transactions; a transient error rolls back, reconnects and does the whole work again.

    ``retry_seconds`` bounds the time spent on one unit of work; setting ``stop`` ends the waiting at once.
    ``on_retry`` is told the kind of each error that is going to be retried. An unclear commit (the connection broke
    while it was under way) is retried as well: work must be safe to repeat.
    """

    def __init__(
        self,
        engine: Engine,
        retry_seconds: float,
        stop: threading.Event | None = None,
        clock: Clock | None = None,
        on_retry: Callable[[ErrorKind], None] | None = None,
    ) -> None:
        self._engine, self._retry_seconds = engine, retry_seconds
        self._stop, self._clock = stop or threading.Event(), clock or SystemClock()
        self._on_retry = on_retry or (lambda kind: None)

    def run(self, work: Callable[[Connection], T]) -> T:
        """Do ``work`` and commit.

        Raises :class:`WarehouseFailedError` (not transient, or out of time), :class:`RetryInterruptedError`, and
        whatever ``work`` raises that is not a database error.
        """
        started, attempts, pause = self._clock.monotonic(), 0, _FIRST_PAUSE
        while True:
            attempts += 1
            try:
                with self._engine.begin() as connection:
                    return work(connection)
            except _DATABASE_ERRORS as error:
                kind, spent = classify(error), self._clock.monotonic() - started
                if kind not in TRANSIENT or spent + pause > self._retry_seconds:
                    raise WarehouseFailedError(kind, error_number(error), attempts, spent, error) from error
                log.warning("transaction rolled back, trying again", attempt=attempts, error=describe(error))
                self._on_retry(kind)
                if kind is not ErrorKind.LOCKED:
                    self._engine.dispose()  # the other pooled connections are most likely dead too
            if self._stop.wait(pause):
                raise RetryInterruptedError("stopped while waiting for the database; nothing was written")
            pause = min(pause * 2, _LONGEST_PAUSE)
