"""The upsert statement in the words of either server."""

from __future__ import annotations

from include.warehouse.dialect import MARIADB, MYSQL
from include.warehouse.upsert import UpsertTarget, upsert_statement

TARGET = UpsertTarget("t", ("k", "v", "flag"), frozenset({"k"}), sticky=frozenset({"flag"}))


def test_mariadb_has_no_row_alias() -> None:
    assert upsert_statement(TARGET, 2, MARIADB) == (
        "INSERT INTO t (k, v, flag) VALUES (%s, %s, %s), (%s, %s, %s)"
        " ON DUPLICATE KEY UPDATE v = VALUES(v), flag = GREATEST(t.flag, VALUES(flag))"
    )


def test_mysql_has_no_values_function() -> None:
    assert upsert_statement(TARGET, 1, MYSQL) == (
        "INSERT INTO t (k, v, flag) VALUES (%s, %s, %s) AS new_row"
        " ON DUPLICATE KEY UPDATE v = new_row.v, flag = GREATEST(t.flag, new_row.flag)"
    )
