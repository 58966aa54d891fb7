"""Migrations on the real server, and the check that the tables still are what they made."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from pydantic import SecretStr

from include.settings import Settings
from include.warehouse import __main__ as command
from include.warehouse import migrations
from include.warehouse.errors import MigrationError
from include.warehouse.migrations import Migration, known_migrations, migrate, schema_problems
from tests.support.servers import MySQLServer

pytestmark = [pytest.mark.integration, pytest.mark.both_databases]


def execute(mysql: MySQLServer, settings: Settings, statement: str) -> None:
    with closing(mysql.connect(settings.mysql_database)) as connection:
        connection.cursor().execute(statement)


def test_an_empty_database_is_brought_up_to_date_once(fresh_database: Settings) -> None:
    names = [f"{m.version:04d}_{m.name}" for m in known_migrations()]
    assert all("not applied" in problem for problem in schema_problems(fresh_database))
    assert migrate(fresh_database) == names
    assert migrate(fresh_database) == []
    assert schema_problems(fresh_database) == []


def test_processes_that_start_together_migrate_once(fresh_database: Settings) -> None:
    with ThreadPoolExecutor(4) as pool:
        applied = list(pool.map(lambda _: migrate(fresh_database), range(4)))
    assert sorted(map(len, applied)) == [0, 0, 0, len(known_migrations())]


def test_the_longest_name_of_a_database(mysql: MySQLServer) -> None:
    name = "n" * 64
    mysql.create_database(name)
    try:
        assert migrate(mysql.settings.model_copy(update={"mysql_database": name}))
    finally:
        execute(mysql, mysql.settings, f"DROP DATABASE `{name}`")


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        ("DROP TABLE heartbeats", "table heartbeats is missing"),
        ("ALTER TABLE moving_averages DROP COLUMN vwap", "column moving_averages.vwap is missing"),
        ("ALTER TABLE moving_averages DROP KEY by_updated_at", "index moving_averages.by_updated_at is missing"),
        (
            "ALTER TABLE moving_averages MODIFY sma DECIMAL(18,2) NOT NULL",
            "moving_averages.sma is decimal(18,2)",
        ),
        ("ALTER TABLE moving_averages ADD COLUMN note TEXT NULL", ""),
    ],
)
def test_what_was_changed_is_named(mysql: MySQLServer, fresh_database: Settings, damage: str, problem: str) -> None:
    migrate(fresh_database)
    execute(mysql, fresh_database, damage)
    problems = schema_problems(fresh_database)
    assert len(problems) == bool(problem)
    assert problem in "".join(problems)


def test_an_edited_migration_is_refused(fresh_database: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    migrate(fresh_database)
    edited = [Migration(m.version, m.name, m.sql + "\n") for m in known_migrations()]
    monkeypatch.setattr(migrations, "known_migrations", lambda: edited)
    with pytest.raises(MigrationError, match="was changed after it was applied"):
        migrate(fresh_database)


def test_a_newer_schema_is_refused(fresh_database: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    later = [*known_migrations(), Migration(9999, "later", "CREATE TABLE IF NOT EXISTS later (a INT);\n")]
    with monkeypatch.context() as patched:
        patched.setattr(migrations, "known_migrations", lambda: later)
        migrate(fresh_database)
    with pytest.raises(MigrationError, match="9999_later is applied, but this release does not know it"):
        migrate(fresh_database)


def test_a_migration_cut_short_is_run_again(
    fresh_database: Settings, monkeypatch: pytest.MonkeyPatch, mysql: MySQLServer
) -> None:
    broken = [Migration(1, "x", "CREATE TABLE IF NOT EXISTS a (b INT);\nCREATE TABLE IF NOT EXISTS a (;\n")]
    whole = [Migration(1, "x", "CREATE TABLE IF NOT EXISTS a (b INT);\nCREATE TABLE IF NOT EXISTS c (d INT);\n")]
    monkeypatch.setattr(migrations, "known_migrations", lambda: broken)
    with pytest.raises(Exception, match="syntax"):
        migrate(fresh_database)
    monkeypatch.setattr(migrations, "known_migrations", lambda: whole)
    assert migrate(fresh_database) == ["0001_x"]
    assert schema_problems(fresh_database) == []


def test_the_command_line_says_how_it_stands(
    fresh_database: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(verb: str, settings: Settings = fresh_database) -> tuple[int | str | None, str, str]:
        monkeypatch.setattr(command, "get_settings", lambda: settings)
        monkeypatch.setattr(sys, "argv", ["include.warehouse", verb])
        with pytest.raises(SystemExit) as end:
            command.main()
        return end.value.code, *capsys.readouterr()

    before, done, after = run("status"), run("migrate"), run("status")
    assert (before[0], done[0], after[0]) == (1, 0, 0)
    assert "is not applied" in before[2]
    assert "applied 0001" in done[1]
    assert "are what the migrations made" in after[1]
    stranger = fresh_database.model_copy(update={"mysql_password": SecretStr("not-the-password")})
    refused = run("status", stranger)
    assert refused[0] == 1
    assert "1045 ER_ACCESS_DENIED_ERROR" in refused[2]
    assert "not-the-password" not in refused[2]
