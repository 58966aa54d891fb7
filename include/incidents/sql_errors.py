"""Database errors, told apart: worth another try, a second open incident, or final."""

from __future__ import annotations

import sqlite3
from typing import Any

from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from include.incidents.book import OpenTwiceError
from include.incidents.tables import ONE_OPEN

_SQLITE_PASSING = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
# Connection lost; rolled back for another's sake; lock or statement deadline; server (re)starting; no connection free.
_SQLSTATE_PASSING = ("08", "40", "55P03", "57P01", "57P02", "57P03", "57014", "53300")


def is_passing(error: BaseException) -> bool:
    """Whether another try may succeed."""
    if isinstance(error, OpenTwiceError | PoolTimeoutError):
        return True
    if not isinstance(error, DBAPIError):
        return False
    if error.connection_invalidated:
        return True
    code = getattr(error.orig, "sqlite_errorcode", None)
    if isinstance(error.orig, sqlite3.Error):
        return code is not None and code & 0xFF in _SQLITE_PASSING
    state = _sqlstate(error)
    if state is None:  # not an answer of the server: it could not be reached, or went away
        return type(error.orig).__name__ in {"OperationalError", "ConnectionTimeout"}
    return state.startswith(_SQLSTATE_PASSING)


def is_second_open(error: IntegrityError) -> bool:
    """Whether the partial unique index refused a second open incident."""
    if isinstance(error.orig, sqlite3.Error):  # names the columns, not the index
        return "incidents.scenario, incidents.target" in str(error.orig)
    diagnosis: Any = getattr(error.orig, "diag", None)
    return getattr(diagnosis, "constraint_name", None) == ONE_OPEN


def in_words(error: BaseException) -> str:
    """What the driver says, without the statement and its values."""
    said = str(error.orig if isinstance(error, DBAPIError) and error.orig is not None else error)
    return " ".join(said.split()) or type(error).__name__


def _sqlstate(error: DBAPIError) -> str | None:
    state = getattr(error.orig, "sqlstate", None)
    return state if isinstance(state, str) else None
