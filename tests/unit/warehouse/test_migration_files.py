"""Migrations as files: in order, and split into statements; differences of schemas in words."""

from __future__ import annotations

from include.warehouse.migrations import Migration, known_migrations
from include.warehouse.schema import Snapshot, differences


def test_versions_count_from_one_without_gaps() -> None:
    assert [m.version for m in known_migrations()] == list(range(1, len(known_migrations()) + 1))


def test_statements_can_be_repeated() -> None:
    for migration in known_migrations():
        assert migration.statements
        assert all("IF NOT EXISTS" in s or "IF EXISTS" in s for s in migration.statements), migration.name


def test_comments_are_no_statements() -> None:
    sql = "-- first; not a statement\nCREATE TABLE a (\n  b INT\n);\n-- between\nCREATE TABLE c (d INT);\n"
    assert Migration(1, "x", sql).statements == ["CREATE TABLE a (\n  b INT\n)", "CREATE TABLE c (d INT)"]


def test_differences_name_what_is_missing_or_changed_and_ignore_what_is_added() -> None:
    expected: Snapshot = {
        "t": {"columns": {"a": "int not null", "b": "int"}, "indexes": {"PRIMARY": "unique (a)"}},
        "gone": {"columns": {}, "indexes": {}},
    }
    found: Snapshot = {
        "t": {"columns": {"a": "bigint not null", "extra": "int"}, "indexes": {}},
        "other": {"columns": {}, "indexes": {}},
    }
    assert differences(expected, found) == [
        "table gone is missing",
        "column t.a is bigint not null, expected int not null",
        "column t.b is missing",
        "index t.PRIMARY is missing",
    ]
    assert differences(expected, expected) == []
