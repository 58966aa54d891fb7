"""Where MySQL and MariaDB differ, as far as the pipeline must know. Everything else is written in words that both take.

Error numbers that only one of them has stand in :mod:`include.warehouse.error_numbers`: they mean the same on either.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection

# Of the server's log, on either: what it says first, and what it says when it takes connections. The name before the
# colon keeps MySQL's second listener, the X Plugin, from being taken for the server.
LOG_FIRST_LINE = r"Starting MariaDB |starting as process \d"
LOG_READY = "d: ready for connections"

LONGEST_LOCK_NAME = 64  # of GET_LOCK on MySQL; MariaDB takes longer ones

_ROW_WAITS = (
    "SELECT TIMESTAMPDIFF(SECOND, w.trx_wait_started, NOW()), b.trx_mysql_thread_id,"
    " TIMESTAMPDIFF(SECOND, b.trx_started, NOW()), {table}"
    " FROM {waits} JOIN information_schema.innodb_trx AS w ON w.trx_id = {requesting}"
    " JOIN information_schema.innodb_trx AS b ON b.trx_id = {blocking} LEFT JOIN {locks}"
)


@dataclass(frozen=True)
class Dialect:
    """The words of one of the two servers.

    ``row_alias`` stands behind the rows of an upsert, ``new_value`` (a format) is a column's value in the new row.
    ``connections``: the table of them. ``row_waits``: a query of waits for locks on rows: for how many seconds, who is
    in the way, since how many seconds its transaction is open, which table. ``lock_rights``: what an account needs to
    see other accounts' connections and those waits.
    """

    name: str
    row_alias: str
    new_value: str
    connections: str
    row_waits: str
    lock_rights: str


MARIADB = Dialect(
    name="MariaDB",
    row_alias="",
    new_value="VALUES({column})",
    connections="information_schema.processlist",
    row_waits=_ROW_WAITS.format(
        table="REPLACE(l.lock_table, '`', '')",
        waits="information_schema.innodb_lock_waits AS x",
        requesting="x.requesting_trx_id",
        blocking="x.blocking_trx_id",
        locks="information_schema.innodb_locks AS l ON l.lock_id = x.requested_lock_id",
    ),
    lock_rights="the right PROCESS",
)
MYSQL = Dialect(
    name="MySQL",
    row_alias=" AS new_row",  # VALUES(column) is deprecated there; MariaDB does not know the alias
    new_value="new_row.{column}",
    connections="performance_schema.processlist",  # that of information_schema is deprecated there
    row_waits=_ROW_WAITS.format(
        table="CONCAT(l.object_schema, '.', l.object_name)",
        waits="performance_schema.data_lock_waits AS x",
        requesting="x.requesting_engine_transaction_id",
        blocking="x.blocking_engine_transaction_id",
        locks="performance_schema.data_locks AS l ON l.engine_lock_id = x.requesting_engine_lock_id",
    ),
    lock_rights="the rights PROCESS and SELECT on performance_schema",
)


def dialect_of(version: object) -> Dialect:
    """The dialect of the server that answers ``SELECT VERSION()`` with this."""
    text = version.decode() if isinstance(version, bytes | bytearray) else str(version)
    return MARIADB if "mariadb" in text.lower() else MYSQL


def dialect_on(connection: Connection) -> Dialect:
    """The dialect of the server behind a connection, which knows it since it was opened."""
    return MARIADB if connection.dialect.is_mariadb else MYSQL  # type: ignore[attr-defined]
