"""The store in SQLite or PostgreSQL."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Generic, TypeVar

from sqlalchemy import Engine, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_random_exponential

from include.incidents.base_store import REOPEN, BaseIncidentStore
from include.incidents.book import Book, OpenTwiceError
from include.incidents.errors import StoreUnavailableError
from include.incidents.migrate import migrate_engine
from include.incidents.model import Entry
from include.incidents.sql_book import SqlBook
from include.incidents.sql_engine import BUSY_SECONDS, create_store_engine, reading
from include.incidents.sql_errors import in_words, is_passing
from include.runtime.clock import Clock, SystemClock

T = TypeVar("T")
PATIENCE_SECONDS = 15.0  # how long passing errors are tried again


@dataclass(frozen=True, slots=True)
class _Done(Generic[T]):
    """What a try did before its commit, whose outcome may have been lost together with the connection."""

    entry: Entry
    result: T


class SqlIncidentStore(BaseIncidentStore):
    """See :class:`~include.incidents.store.IncidentStore`.

    Making one costs nothing: it connects, and migrates, at first use. Errors that may pass (a busy database, a lost
    connection, a transaction rolled back for another's sake) are tried again for ``patience`` seconds; then, and for
    any other error of the database, :class:`StoreUnavailableError` is raised. A command whose commit was confirmed too
    late is not done twice. Usable after a fork.
    """

    def __init__(
        self, url: str, clock: Clock | None = None, reopen: timedelta = REOPEN, patience: float = PATIENCE_SECONDS
    ) -> None:
        super().__init__(clock or SystemClock(), reopen)
        self._url = make_url(url)
        self._patience = patience
        self._lock = threading.Lock()
        self._engine: Engine | None = None
        self._pid = 0
        self._migrated = False

    def close(self) -> None:
        """See the protocol."""
        with self._lock:
            if self._engine is not None:
                self._engine.dispose(close=self._pid == os.getpid())
                self._engine = None

    def within(self, work: Callable[[SqlBook], T], *, write: bool) -> T:
        """See :meth:`BaseIncidentStore.within`; the book gives its connection for tables beside the incidents'."""
        return self._do(work, write=write)  # type: ignore[arg-type]  # our books are all of this kind

    def _do(self, work: Callable[[Book], T], *, write: bool) -> T:
        done: list[_Done[T]] = []
        retrying = Retrying(
            retry=retry_if_exception(is_passing),
            stop=stop_after_delay(self._patience),
            wait=wait_random_exponential(multiplier=0.02, max=1),
            reraise=True,
        )
        try:
            result: T = retrying(self._try, work, write, done)
            return result
        except (DBAPIError, OpenTwiceError, PoolTimeoutError, OSError) as error:
            raise StoreUnavailableError(
                f"The incident store ({self._url.render_as_string(hide_password=True)}) cannot be used: "
                f"{in_words(error)}"
            ) from error

    def _try(self, work: Callable[[Book], T], write: bool, done: list[_Done[T]]) -> T:
        with self._transaction(write) as book:
            if done and book.has_entry(done[-1].entry):
                return done[-1].result
            result = work(book)
            done[:] = [_Done(book.last_entry, result)] if book.last_entry else []
        return result

    @contextmanager
    def _transaction(self, write: bool) -> Iterator[SqlBook]:
        engine = self._ready()
        with engine.connect() if write else reading(engine) as connection, connection.begin():
            yield SqlBook(connection)

    def _connect(self) -> Engine:
        return create_store_engine(self._url, min(BUSY_SECONDS, self._patience))

    def _ready(self) -> Engine:
        """The engine of this process, its database migrated."""
        with self._lock:
            if self._engine is None or self._pid != os.getpid():
                if self._engine is not None:
                    self._engine.dispose(close=False)  # its connections are the parent's
                self._engine, self._pid = self._connect(), os.getpid()
            if not self._migrated:
                migrate_engine(self._engine)
                self._migrated = True
            return self._engine
