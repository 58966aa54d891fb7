"""How probes talk to MySQL: the plain driver, short deadlines, and every failure as an observation."""

from __future__ import annotations

import errno
import re
from collections.abc import Callable
from typing import Any

import mysql.connector
from sqlalchemy.exc import DBAPIError

from include.health.observations import Code, Facts, Observation
from include.health.observations import Probe as ProbeName
from include.health.probes.base import blind, failed, seen_well
from include.runtime.clock import Clock, SystemClock
from include.settings import Settings
from include.warehouse.engine import driver_connection
from include.warehouse.error_numbers import ErrorKind, classify, describe, error_number
from include.warehouse.schema import MIGRATIONS_TABLE

CONNECT_SECONDS = 1
STATEMENT_SECONDS = 2
LOCK_SECONDS = 1  # shorter than a statement: a locked table is told from a server that hangs
_AT_ONCE_SECONDS = 0.5  # a kept connection that breaks so soon was dead before; one that hangs takes longer

_SESSION = (
    "SET SESSION time_zone = '+00:00', lock_wait_timeout = {lock}, innodb_lock_wait_timeout = {lock},"
    " transaction_isolation = 'REPEATABLE-READ'"
)
_TABLES_MADE = "SELECT 1 FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = %s"
_UNKNOWN_HOST, _NO_SUCH_TABLE, _ACCESS_DENIED = 2005, 1146, 1045

# the operating system's number is the last one in the driver's words: "… (111)", "… system error: 110"
_SYSTEM_ERROR = re.compile(r"(?:\(|system error: )(\d+)\)?\s*$")
_SYSTEM_CODES = {
    errno.ECONNREFUSED: Code.REFUSED,
    errno.ENOENT: Code.REFUSED,  # of a unix socket
    errno.ETIMEDOUT: Code.TIMEOUT,
    errno.EINPROGRESS: Code.TIMEOUT,
    errno.EAGAIN: Code.TIMEOUT,
    errno.EHOSTUNREACH: Code.UNREACHABLE,
    errno.ENETUNREACH: Code.UNREACHABLE,
}


class TooSlowError(Exception):
    """The server answers, but so slowly that the next statement might not be answered within the deadline."""


class Session:
    """The statements of one look; ``left`` says how many seconds it may still take."""

    def __init__(self, cursor: Any, left: Callable[[], float]) -> None:
        self._cursor, self._left = cursor, left

    def rows(self, statement: str, *arguments: object) -> list[tuple[Any, ...]]:
        """The rows of a query. Raises :class:`mysql.connector.Error`, :class:`TooSlowError`."""
        self.run(statement, *arguments)
        rows: list[tuple[Any, ...]] = self._cursor.fetchall()
        return rows

    def run(self, statement: str, *arguments: object) -> None:
        """A statement without rows. Raises as :meth:`rows`."""
        if self._left() < STATEMENT_SECONDS:
            raise TooSlowError("the server answers too slowly to go on within the deadline")
        self._cursor.execute(statement, arguments)


class Link:
    """A connection of the pipeline's own account, and the way from its errors to observations.

    ``seconds``: what a look may take in all, at least a connect and a statement. ``keep``: the connection stays open
    between looks; it is made anew after any error. Otherwise each look proves that one can connect and log in.
    Statements commit by themselves: a look that is cut short cannot leave a transaction open.
    """

    def __init__(self, settings: Settings, seconds: float, *, keep: bool, clock: Clock | None = None) -> None:
        self._settings, self._seconds, self._keep = settings, seconds, keep
        self._clock = clock or SystemClock()
        self._connection: Any = None
        self._cursor: Any = None

    def ask(self, name: ProbeName, work: Callable[[Session], Facts]) -> Observation:
        """What ``work`` found, or how the server failed it."""
        started, reused = self._clock.monotonic(), self._connection is not None
        try:
            try:
                return seen_well(name, self._do(work, started))
            except mysql.connector.Error as error:
                if not (reused and _broken(error) and self._clock.monotonic() - started < _AT_ONCE_SECONDS):
                    raise
                self.close()
                return seen_well(name, self._do(work, started))
        except (mysql.connector.Error, TooSlowError) as error:
            return self._failure(name, error, self._clock.monotonic() - started)
        finally:
            if not self._keep:
                self.close()

    def close(self) -> None:
        """Drop the connection without waiting for an answer."""
        connection, self._connection, self._cursor = self._connection, None, None
        if connection is not None:
            try:
                connection.close()
            except mysql.connector.Error:  # it was broken: so much the better
                return

    def connect(self) -> Any:
        """A new connection of the driver. Raises :class:`mysql.connector.Error`."""
        return driver_connection(
            self._settings,
            charset="utf8mb4",
            collation="utf8mb4_bin",
            autocommit=True,
            connection_timeout=CONNECT_SECONDS,
            read_timeout=STATEMENT_SECONDS,
            write_timeout=STATEMENT_SECONDS,
            init_command=_SESSION.format(lock=LOCK_SECONDS),
            use_pure=False,  # its C part is quicker, and does not hold up the other threads while it waits
        )

    def _do(self, work: Callable[[Session], Facts], started: float) -> Facts:
        if self._connection is None:
            self._connection = self.connect()
            self._cursor = self._connection.cursor()
        return work(Session(self._cursor, lambda: self._seconds - (self._clock.monotonic() - started)))

    def _failure(self, name: ProbeName, error: Exception, spent: float) -> Observation:
        try:
            if error_number(error) == _NO_SUCH_TABLE and not self._tables_made():
                return blind(name, Code.NOT_AVAILABLE, "the tables are not made yet", number=_NO_SUCH_TABLE)
        finally:
            self.close()
        return failure(name, error, spent, has_password=bool(self._settings.mysql_password.get_secret_value()))

    def _tables_made(self) -> bool:
        """Whether a migration was ever applied: if so, a table that is not there has been lost."""
        try:
            self._cursor.execute(_TABLES_MADE, (MIGRATIONS_TABLE,))
            return bool(self._cursor.fetchall())
        except mysql.connector.Error:
            return True


def failure(name: ProbeName, error: Exception, spent: float, *, has_password: bool = True) -> Observation:
    """The observation that tells of ``error``, which came after ``spent`` seconds.

    A server that does not let us in is the target's failure, as the probe has the pipeline's own account; without any
    password it is our own.
    """
    number = error_number(error)
    if number == _ACCESS_DENIED and not has_password:
        return blind(name, Code.OWN_CREDENTIALS, "there is no password for the pipeline's account", number=number)
    return failed(name, failure_code(error, spent), describe(error), number=number)


def failure_code(error: Exception, spent: float) -> Code:
    """The class of ``error``; a connection that broke after as long as we wait, broke because we gave up waiting."""
    kind = classify(error)
    if isinstance(error, TooSlowError):
        return Code.TIMEOUT
    if error_number(error) == _UNKNOWN_HOST:
        return Code.UNREACHABLE
    if kind is not ErrorKind.CONNECTIVITY:
        return Code(kind.value)
    words = str(error.orig if isinstance(error, DBAPIError) else error)
    if (match := _SYSTEM_ERROR.search(words)) and (code := _SYSTEM_CODES.get(int(match[1]))):
        return code
    return Code.TIMEOUT if spent >= CONNECT_SECONDS else Code.CONNECTIVITY


def _broken(error: Exception) -> bool:
    return classify(error) in {ErrorKind.CONNECTIVITY, ErrorKind.SHUTTING_DOWN}
