"""MySQL's status, a few of its variables and its process list, by the pipeline's own account."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from include.review.evidence import BlockKind
from include.review.evidence_source import Found, Source, missing
from include.settings import Settings
from include.warehouse.dialect import dialect_of

_VARIABLES = (
    "version",
    "version_comment",
    "read_only",
    "super_read_only",
    "max_connections",
    "wait_timeout",
    "innodb_buffer_pool_size",
    "innodb_lock_wait_timeout",
    "innodb_flush_log_at_trx_commit",
    "transaction_isolation",
    "tx_isolation",
    "sql_mode",
    "time_zone",
)
_STATUS = (
    "Uptime",
    "Queries",
    "Slow_queries",
    "Threads_connected",
    "Threads_running",
    "Max_used_connections",
    "Connections",
    "Aborted_clients",
    "Aborted_connects",
    "Connection_errors_max_connections",
    "Innodb_row_lock_current_waits",
    "Innodb_row_lock_waits",
    "Innodb_row_lock_time_avg",
    "Innodb_data_pending_fsyncs",
    "Innodb_buffer_pool_pages_dirty",
    "Innodb_log_waits",
    "Table_locks_waited",
)
_PROCESSES = (
    "SELECT id, user, host, db, command, time, state, info FROM {connections}"
    " ORDER BY command = 'Sleep', time DESC LIMIT 200"
)
_COLUMNS = ("id", "user", "host", "db", "command", "seconds", "state", "statement")
_LIMITED = "without the right PROCESS only the account's own connections are seen"

Rows = Callable[[str], list[tuple[Any, ...]]]


def mysql_source(settings: Settings) -> Source:
    """One block with all of it."""
    return Source("mysql-status", BlockKind.MYSQL_STATUS, lambda: read_mysql(settings))


def read_mysql(settings: Settings) -> Found:
    """A connection of its own, with the deadlines of the probes: a second to connect, two for a statement."""
    import mysql.connector

    from include.health.probes.mysql_link import CONNECT_SECONDS, Link
    from include.warehouse.error_numbers import describe

    try:
        connection = Link(settings, CONNECT_SECONDS, keep=False).connect()
    except mysql.connector.Error as error:
        return missing(f"MySQL at {settings.mysql_host}:{settings.mysql_port} cannot be asked: {describe(error)}")
    problems: list[str] = []

    def rows(statement: str) -> list[tuple[Any, ...]]:
        try:
            with connection.cursor() as cursor:
                cursor.execute(statement)
                return [tuple(map(_text, row)) for row in cursor.fetchall()]
        except mysql.connector.Error as error:
            problems.append(f"{statement.split(' FROM', maxsplit=1)[0][:40]}: {describe(error)}")
            return []

    try:
        return _told(rows, problems)
    finally:
        connection.close()


def _told(rows: Rows, problems: list[str]) -> Found:
    version = rows("SELECT VERSION()")
    dialect = dialect_of(version[0][0] if version else "")
    rights = [str(row[0]) for row in rows("SHOW GRANTS")]
    sees_all = any("PROCESS" in right or "ALL PRIVILEGES ON *.*" in right for right in rights)
    listed = [dict(zip(_COLUMNS, row, strict=True)) for row in rows(_PROCESSES.format(connections=dialect.connections))]
    content = {
        "rights": rights,
        "status": _named(rows("SHOW GLOBAL STATUS"), _STATUS),
        "variables": _named(rows("SHOW GLOBAL VARIABLES"), _VARIABLES),
        "processes": listed,
        "problems": problems,
    }
    notes = [*([] if sees_all else [_LIMITED]), *problems]
    return Found(content, bool(rights or listed), "; ".join(notes), _lines(content))


def _lines(content: dict[str, Any]) -> tuple[str, ...]:
    status, variables = content["status"], content["variables"]
    lines = [f"{status.get('Threads_connected', '?')} of {variables.get('max_connections', '?')} connections are used"]
    if str(variables.get("read_only", "OFF")).upper() in ("ON", "1"):
        lines.append("the server is read-only")
    if (waiting := status.get("Innodb_row_lock_current_waits", "0")) != "0":
        lines.append(f"{waiting} statements wait for locks on rows")
    busy = [each for each in content["processes"] if each["command"] not in ("Sleep", "Daemon") and each["statement"]]
    lines += [
        f"connection {each['id']} ({each['user']}) {each['state'] or each['command']} for {each['seconds']} s"
        for each in busy
        if isinstance(each["seconds"], int) and each["seconds"] >= 1
    ][:5]
    return tuple(lines)


def _named(found: list[tuple[Any, ...]], wanted: tuple[str, ...]) -> dict[str, Any]:
    """``SHOW`` gives some hundred lines; these tell something."""
    values = {str(name).lower(): value for name, value, *_ in found}
    return {name: values[name.lower()] for name in wanted if name.lower() in values}


def _text(value: Any) -> Any:
    if isinstance(value, bytes | bytearray):
        value = bytes(value).decode("utf-8", "replace")
    return value if value is None or isinstance(value, int | float) else str(value)
