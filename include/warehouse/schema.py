"""What the tables look like, as the server itself describes them, and how that differs from what was made."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

Snapshot = dict[str, dict[str, dict[str, str]]]

MIGRATIONS_TABLE = "schema_migrations"

_COLUMNS = (
    "SELECT table_name, column_name, column_type, is_nullable FROM information_schema.columns"
    " WHERE table_schema = DATABASE() AND table_name <> %s"
)
_INDEXES = (
    "SELECT table_name, index_name, non_unique, GROUP_CONCAT(column_name ORDER BY seq_in_index)"
    " FROM information_schema.statistics WHERE table_schema = DATABASE() AND table_name <> %s"
    " GROUP BY table_name, index_name, non_unique"
)


def read_snapshot(connection: Connection) -> Snapshot:
    """All tables but the migrations' own: table → ``columns`` and ``indexes`` → name → description."""
    snapshot: Snapshot = {}
    for table, column, kind, nullable in connection.exec_driver_sql(_COLUMNS, (MIGRATIONS_TABLE,)):
        columns = snapshot.setdefault(table, {"columns": {}, "indexes": {}})["columns"]
        columns[column] = f"{_text(kind)}{'' if nullable == 'YES' else ' not null'}"
    for table, index, non_unique, columns_text in connection.exec_driver_sql(_INDEXES, (MIGRATIONS_TABLE,)):
        unique = "" if non_unique else "unique "
        snapshot[table]["indexes"][index] = f"{unique}({_text(columns_text)})"
    return snapshot


def differences(expected: Snapshot, found: Snapshot) -> list[str]:
    """What is missing or changed, in words. Tables, columns and indexes that someone added are left alone."""
    problems = []
    for table, parts in sorted(expected.items()):
        if table not in found:
            problems.append(f"table {table} is missing")
            continue
        for part, word in (("columns", "column"), ("indexes", "index")):
            for name, description in sorted(parts[part].items()):
                actual = found[table][part].get(name)
                if actual is None:
                    problems.append(f"{word} {table}.{name} is missing")
                elif actual != description:
                    problems.append(f"{word} {table}.{name} is {actual}, expected {description}")
    return problems


def _text(value: Any) -> str:
    """Information-schema texts arrive as bytes from some servers."""
    return value.decode() if isinstance(value, bytes | bytearray) else str(value)
