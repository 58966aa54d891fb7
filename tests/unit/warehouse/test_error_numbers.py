"""What an error number calls for."""

from __future__ import annotations

import pytest
from mysql.connector import DatabaseError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from include.warehouse.error_numbers import TRANSIENT, ErrorKind, classify


@pytest.mark.parametrize(
    ("number", "text", "kind"),
    [
        (2003, "Can't connect", ErrorKind.CONNECTIVITY),
        (2005, "Unknown MySQL server host 'mysql' (-3)", ErrorKind.CONNECTIVITY),
        (2007, "half a greeting", ErrorKind.CONNECTIVITY),
        (1969, "max_statement_time exceeded", ErrorKind.CONNECTIVITY),
        (1040, "Too many connections", ErrorKind.CAPACITY),
        (1213, "Deadlock", ErrorKind.LOCKED),
        (1045, "Access denied", ErrorKind.CREDENTIALS),
        (1054, "Unknown column", ErrorKind.SCHEMA),
        (1021, "Disk full", ErrorKind.DISK_FULL),
        (1030, 'Got error 28 "No space left on device" from storage engine', ErrorKind.DISK_FULL),
        (1026, "Error writing file (errno: 28 - No space left on device)", ErrorKind.DISK_FULL),
        (1030, 'Got error 168 "Unknown" from storage engine', ErrorKind.UNKNOWN),
        (1406, "Data too long", ErrorKind.DATA),
    ],
)
def test_kind(number: int, text: str, kind: ErrorKind) -> None:
    assert classify(DatabaseError(msg=text, errno=number)) is kind


def test_a_pool_without_a_free_connection_is_waited_for() -> None:
    assert classify(PoolTimeoutError("QueuePool limit")) is ErrorKind.CAPACITY
    assert ErrorKind.CAPACITY in TRANSIENT
