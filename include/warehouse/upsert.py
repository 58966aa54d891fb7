"""Multi-row upserts in the words of either server."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from sqlalchemy import Connection

from include.warehouse.dialect import Dialect, dialect_on

_ROWS_PER_STATEMENT = 1000


@dataclass(frozen=True)
class UpsertTarget:
    """A table as rows are upserted into it.

    ``columns`` in the order of a row's values; all but the ``key`` are overwritten, the ``sticky`` ones only upwards
    (a flag once set stays set). Names come from code, never from input.
    """

    table: str
    columns: tuple[str, ...]
    key: frozenset[str]
    sticky: frozenset[str] = frozenset()


def upsert(connection: Connection, target: UpsertTarget, rows: Sequence[tuple[object, ...]]) -> None:
    """Insert ``rows`` or overwrite those with the same key; a thousand rows a statement.

    Raises :class:`sqlalchemy.exc.DBAPIError`.
    """
    dialect = dialect_on(connection)
    for start in range(0, len(rows), _ROWS_PER_STATEMENT):
        chunk = rows[start : start + _ROWS_PER_STATEMENT]
        statement = upsert_statement(target, len(chunk), dialect)
        connection.exec_driver_sql(statement, tuple(value for row in chunk for value in row))


@lru_cache(maxsize=64)
def upsert_statement(target: UpsertTarget, rows: int, dialect: Dialect) -> str:
    """The statement for ``rows`` rows, with ``%s`` for each value."""
    one = f"({', '.join(['%s'] * len(target.columns))})"
    changes = ", ".join(_change(target, column, dialect) for column in target.columns if column not in target.key)
    return (
        f"INSERT INTO {target.table} ({', '.join(target.columns)}) "  # noqa: S608 - names from code
        f"VALUES {', '.join([one] * rows)}{dialect.row_alias} ON DUPLICATE KEY UPDATE {changes}"
    )


def _change(target: UpsertTarget, column: str, dialect: Dialect) -> str:
    new = dialect.new_value.format(column=column)
    return f"{column} = GREATEST({target.table}.{column}, {new})" if column in target.sticky else f"{column} = {new}"
