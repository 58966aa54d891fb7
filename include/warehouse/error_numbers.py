"""What a MySQL error number means to us, and whether trying again can help.

Numbers: MySQL 8.4/9.x reference manual, "Server Error Message Reference" and "Client Error Message Reference"; MariaDB
uses the same ones, and some that MySQL does not have.
"""

from __future__ import annotations

from enum import StrEnum

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError


class ErrorKind(StrEnum):
    """Classes of database errors that call for different reactions."""

    CONNECTIVITY = "connectivity"  # no server, or the connection broke
    CAPACITY = "capacity"  # the server has no room for another connection or statement right now
    LOCKED = "locked"  # another transaction is in the way
    SHUTTING_DOWN = "shutting_down"
    READ_ONLY = "read_only"  # a replica, or a server in the middle of a failover
    DISK_FULL = "disk_full"
    CREDENTIALS = "credentials"
    SCHEMA = "schema"  # database, table or column is not what we expect
    DATA = "data"  # a value does not fit its column, or breaks a rule of the table
    UNKNOWN = "unknown"


# Read-only is retried: a failover ends in a server that takes writes. A full disk is retried too: space is made
# beside us, and losing the process would not make any. Credentials, schema and data stay wrong until someone acts.
TRANSIENT = frozenset(
    {
        ErrorKind.CONNECTIVITY,
        ErrorKind.CAPACITY,
        ErrorKind.LOCKED,
        ErrorKind.SHUTTING_DOWN,
        ErrorKind.READ_ONLY,
        ErrorKind.DISK_FULL,
    }
)

_KINDS: dict[ErrorKind, dict[int, str]] = {
    ErrorKind.CONNECTIVITY: {
        1080: "ER_FORCING_CLOSE",
        1152: "ER_ABORTING_CONNECTION",
        1158: "ER_NET_READ_ERROR",
        1159: "ER_NET_READ_INTERRUPTED",
        1160: "ER_NET_ERROR_ON_WRITE",
        1161: "ER_NET_WRITE_INTERRUPTED",
        1129: "ER_HOST_IS_BLOCKED",
        1317: "ER_QUERY_INTERRUPTED",
        1927: "ER_CONNECTION_KILLED (MariaDB)",
        2002: "CR_CONNECTION_ERROR",
        2003: "CR_CONN_HOST_ERROR",
        2005: "CR_UNKNOWN_HOST",  # the name of a container is gone for as long as the container is
        2006: "CR_SERVER_GONE_ERROR",
        2007: "CR_VERSION_ERROR",  # what half a greeting looks like
        2012: "CR_SERVER_HANDSHAKE_ERR",
        2013: "CR_SERVER_LOST",
        2014: "CR_COMMANDS_OUT_OF_SYNC",  # what a broken connection leaves behind
        2026: "CR_SSL_CONNECTION_ERROR",
        2027: "CR_MALFORMED_PACKET",
        2055: "CR_SERVER_LOST_EXTENDED",
        1969: "ER_STATEMENT_TIMEOUT (MariaDB)",
        3024: "ER_QUERY_TIMEOUT",
        4031: "ER_CLIENT_INTERACTION_TIMEOUT",
    },
    ErrorKind.CAPACITY: {
        1037: "ER_OUTOFMEMORY",
        1040: "ER_CON_COUNT_ERROR",
        1041: "ER_OUT_OF_RESOURCES",
        1135: "ER_CANT_CREATE_THREAD",
        1203: "ER_TOO_MANY_USER_CONNECTIONS",
        1226: "ER_USER_LIMIT_REACHED",
    },
    ErrorKind.LOCKED: {
        1205: "ER_LOCK_WAIT_TIMEOUT",
        1213: "ER_LOCK_DEADLOCK",
        1020: "ER_CHECKREAD",  # MariaDB 11: the row changed since the snapshot
        3572: "ER_LOCK_NOWAIT",
    },
    ErrorKind.SHUTTING_DOWN: {1053: "ER_SERVER_SHUTDOWN", 1077: "ER_NORMAL_SHUTDOWN", 1079: "ER_SHUTDOWN_COMPLETE"},
    ErrorKind.READ_ONLY: {
        1290: "ER_OPTION_PREVENTS_STATEMENT",
        1792: "ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION",
        1836: "ER_READ_ONLY_MODE",
    },
    ErrorKind.DISK_FULL: {1021: "ER_DISK_FULL", 1114: "ER_RECORD_FILE_FULL", 3675: "ER_DISK_FULL_NOWAIT"},
    ErrorKind.CREDENTIALS: {
        1044: "ER_DBACCESS_DENIED_ERROR",
        1045: "ER_ACCESS_DENIED_ERROR",
        1142: "ER_TABLEACCESS_DENIED_ERROR",
        1143: "ER_COLUMNACCESS_DENIED_ERROR",
        1227: "ER_SPECIFIC_ACCESS_DENIED_ERROR",
        1251: "ER_NOT_SUPPORTED_AUTH_MODE",
        1698: "ER_ACCESS_DENIED_NO_PASSWORD_ERROR",
        2049: "CR_SECURE_AUTH",
        2059: "CR_AUTH_PLUGIN_CANNOT_LOAD",
        2061: "CR_AUTH_PLUGIN_ERR",  # MySQL takes a password only over TLS, which it makes ready by itself
        3118: "ER_ACCOUNT_HAS_BEEN_LOCKED",
    },
    ErrorKind.SCHEMA: {
        1049: "ER_BAD_DB_ERROR",
        1054: "ER_BAD_FIELD_ERROR",
        1136: "ER_WRONG_VALUE_COUNT_ON_ROW",
        1146: "ER_NO_SUCH_TABLE",
        1364: "ER_NO_DEFAULT_FOR_FIELD",
        1932: "ER_NO_SUCH_TABLE_IN_ENGINE",
    },
    ErrorKind.DATA: {
        1264: "ER_WARN_DATA_OUT_OF_RANGE",
        1265: "WARN_DATA_TRUNCATED",
        1292: "ER_TRUNCATED_WRONG_VALUE",
        1366: "ER_TRUNCATED_WRONG_VALUE_FOR_FIELD",
        1406: "ER_DATA_TOO_LONG",
        1048: "ER_BAD_NULL_ERROR",
        1411: "ER_WRONG_VALUE_FOR_TYPE",
        1441: "ER_DATETIME_FUNCTION_OVERFLOW",
        1526: "ER_NO_PARTITION_FOR_GIVEN_VALUE",
        1644: "ER_SIGNAL_EXCEPTION",  # a trigger says no
        1690: "ER_DATA_OUT_OF_RANGE",
        3819: "ER_CHECK_CONSTRAINT_VIOLATED",
        4025: "ER_CONSTRAINT_FAILED (MariaDB)",
    },
}

# errors of the storage engine carry the operating system's words
_STORAGE_ENGINE, _NO_SPACE = frozenset({1026, 1030, 1180}), "No space left on device"
_KIND_OF = {number: kind for kind, numbers in _KINDS.items() for number in numbers}
_NAME_OF = {number: name for numbers in _KINDS.values() for number, name in numbers.items()}


def error_number(error: BaseException) -> int | None:
    """The MySQL error number behind ``error`` (a driver's or SQLAlchemy's exception), if there is one."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    number = getattr(cause, "errno", None)
    return number if isinstance(number, int) and number > 0 else None


def kind_of(number: int) -> ErrorKind:
    """What a bare error number says."""
    return _KIND_OF.get(number, ErrorKind.UNKNOWN)


def classify(error: BaseException) -> ErrorKind:
    """What kind of error this is.

    A driver error without a number on a connection that SQLAlchemy found dead is one of connectivity.
    """
    number = error_number(error)
    if number in _STORAGE_ENGINE and _NO_SPACE in str(error):
        return ErrorKind.DISK_FULL
    if number in _KIND_OF:
        return _KIND_OF[number]
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return ErrorKind.CONNECTIVITY
    if isinstance(error, PoolTimeoutError):  # our own pool: every connection is held by somebody who waits
        return ErrorKind.CAPACITY
    if isinstance(error, (ConnectionError, TimeoutError)):
        return ErrorKind.CONNECTIVITY
    return ErrorKind.UNKNOWN


def describe(error: BaseException) -> str:
    """The error in one line: number, symbolic name, and the driver's own words."""
    number = error_number(error)
    cause = error.orig if isinstance(error, DBAPIError) else error
    name = _NAME_OF.get(number, "not in our table") if number is not None else "no number"
    return f"{number} {name}: {cause}" if number is not None else f"{type(cause).__name__}: {cause}"
