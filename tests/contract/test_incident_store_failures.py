"""When the database is busy, away, foreign or unwell."""

from __future__ import annotations

import multiprocessing
import os
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import event, inspect
from sqlalchemy.exc import OperationalError

import include.guardrails.tables
import include.review.tables  # noqa: F401 - likewise
from include.incidents import migrate as migration
from include.incidents.errors import CorruptStoreError, StoreUnavailableError, StoreVersionError
from include.incidents.migrate import NEWEST, migrate
from include.incidents.model import DecisionRecord, EntryKind, IncidentState, NewEntry
from include.incidents.sql_engine import create_store_engine
from include.incidents.sql_store import SqlIncidentStore
from include.incidents.tables import VERSION_TABLE, metadata
from include.playbook.names import Component, ScenarioId
from tests.support.incident_stores import Backend, hold_lock, new_incident, sqlite, step, symptom
from tests.support.postgres import PostgresServer

# --- the tables


def test_the_migrations_make_the_tables_that_the_store_uses(bare_database: Backend) -> None:
    migrate(bare_database.url)
    engine = create_store_engine(bare_database.url)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE, "compare_type": True})
        assert compare_metadata(context, metadata) == []
        names = {index["name"] for index in inspect(connection).get_indexes("incidents")}
    engine.dispose()
    assert "incidents_one_open" in names


def test_the_newest_migration_is_known_without_loading_them() -> None:
    config = Config()
    config.set_main_option("script_location", str(migration._FOLDER))
    assert ScriptDirectory.from_config(config).get_heads() == [NEWEST]


def test_migrating_again_changes_nothing(bare_database: Backend) -> None:
    incident, _ = bare_database.store.open(new_incident(bare_database))
    migrate(bare_database.url)
    assert bare_database.store.recent() == (incident,)


def test_the_database_may_be_shared_with_others_of_the_same_habits(bare_database: Backend) -> None:
    bare_database.execute(
        "CREATE TABLE alembic_version (version_num VARCHAR(32))", "INSERT INTO alembic_version VALUES ('x')"
    )
    bare_database.store.open(new_incident(bare_database))
    engine = create_store_engine(bare_database.url)
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar() == "x"
    engine.dispose()


def test_tables_of_a_newer_product_are_left_alone(database: Backend) -> None:
    database.store.open(new_incident(database))
    database.execute(f"UPDATE {VERSION_TABLE} SET version_num = '9999'")  # noqa: S608 - constants
    with pytest.raises(StoreVersionError, match=f"version 9999, this product knows up to {NEWEST}"):
        database.another().recent()


def test_a_row_that_was_never_written_by_us_is_named(database: Backend) -> None:
    incident, _ = database.store.open(new_incident(database))
    database.execute("UPDATE incidents SET cause = 'gremlins'")
    with pytest.raises(CorruptStoreError, match=f"{incident.id}.*gremlins"):
        database.store.incident(incident.id)


# --- the connections


def impatient(backend: Backend, patience: float = 0.3) -> SqlIncidentStore:
    return SqlIncidentStore(backend.url, backend.clock, patience=patience)


def test_a_busy_database_is_waited_for(database: Backend) -> None:
    incident, _ = database.store.open(new_incident(database))
    release = threading.Event()
    thread = hold_lock(database, release)
    threading.Timer(0.5, release.set).start()
    assert step(database, incident, IncidentState.ACKNOWLEDGED).version == 2
    assert release.is_set()
    thread.join()


def test_a_database_that_stays_busy_is_said_to_be_unavailable_and_can_still_be_read(database: Backend) -> None:
    incident, _ = database.store.open(new_incident(database))
    release = threading.Event()
    thread, store = hold_lock(database, release), impatient(database)
    started = time.monotonic()
    try:
        with pytest.raises(StoreUnavailableError, match=r"The incident store \(.*\) cannot be used: .*lock"):
            store.append(incident.id, NewEntry(EntryKind.NOTE, "ops", "", database.now()))
        assert time.monotonic() - started < 5
        assert store.incident(incident.id) == incident
    finally:
        release.set()
        thread.join()
    store.close()
    assert len(database.store.timeline(incident.id)) == 1


def test_each_kind_of_command_survives_a_commit_that_was_confirmed_too_late(database: Backend) -> None:
    """The connection is lost between the commit and its confirmation: done once, and the caller hears of it."""
    incident, _ = database.store.open(new_incident(database))
    store, lost = database.another(), []
    assert isinstance(store, SqlIncidentStore)
    engine = store._ready()
    commit = engine.dialect.do_commit

    def commit_and_lose(connection: Any) -> None:
        commit(connection)
        if not lost:
            lost.append(True)
            raise OperationalError("COMMIT", {}, _lost(database), connection_invalidated=True)

    engine.dialect.do_commit = commit_and_lose  # type: ignore[method-assign]

    def again(command: Any) -> Any:
        lost.clear()
        answer = command()
        assert lost == [True]
        return answer

    entry = again(lambda: store.append(incident.id, NewEntry(EntryKind.NOTE, "ops", "once", database.now())))
    assert store.timeline(incident.id)[-1] == entry
    told = {"actor": "ops", "reason": "", "event_at": database.now()}
    moved = again(lambda: store.move(incident.id, IncidentState.ACKNOWLEDGED, version=1, **told))
    assert (moved.state, moved.version) == (IncidentState.ACKNOWLEDGED, 2)
    assert again(lambda: store.attach(symptom(incident, database), database.now())) is True
    row = DecisionRecord(database.now(), ScenarioId.KAFKA_LAG, Component.LAG, "hold", "because")
    again(lambda: store.record_decision(row))
    assert store.decisions() == (row,)
    assert [entry.number for entry in store.timeline(incident.id)] == [1, 2, 3, 4]
    assert store.verify() == ()


def _lost(backend: Backend) -> Exception:
    if backend.kind == "sqlite":
        error = sqlite3.OperationalError("database is locked")
        error.sqlite_errorcode = sqlite3.SQLITE_BUSY  # type: ignore[misc]
        return error
    import psycopg

    return psycopg.OperationalError("the connection is lost")


def test_a_store_may_be_used_after_a_fork_by_parent_and_child_at_once(database: Backend) -> None:
    incident, _ = database.store.open(new_incident(database))
    fork = multiprocessing.get_context("fork")
    barrier = fork.Barrier(2)

    def write(actor: str) -> None:
        barrier.wait(20)
        for _ in range(20):
            database.store.append(incident.id, NewEntry(EntryKind.NOTE, actor, "", database.now()))

    def child() -> None:
        try:
            write("child")
        finally:
            os._exit(len(database.store.timeline(incident.id)) < 21)  # no clean-up of the test session's

    process = fork.Process(target=child)
    process.start()
    write("parent")
    process.join(20)
    assert process.exitcode == 0
    actors = [entry.actor for entry in database.store.timeline(incident.id)]
    assert (actors.count("child"), actors.count("parent")) == (20, 20)
    assert database.store.verify() == ()


# --- SQLite alone


def test_the_file_belongs_to_its_owner_alone(tmp_path: Path) -> None:
    backend = sqlite(tmp_path)
    folder = tmp_path / "incidents"
    folder.mkdir(mode=0o755)
    (folder / "incidents.db").touch(mode=0o644)  # made by somebody careless
    backend.store.open(new_incident(backend))
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert modes == {"incidents.db": 0o600, "incidents.db-wal": 0o600, "incidents.db-shm": 0o600}
    backend.close()


def test_sessions_of_sqlite_agree_on_what_the_store_relies_on(tmp_path: Path) -> None:
    engine = create_store_engine(f"sqlite:///{tmp_path / 'x.db'}")
    with engine.connect() as connection:
        names = ("journal_mode", "foreign_keys", "busy_timeout", "synchronous")
        values = [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in names]
    engine.dispose()
    assert values == ["wal", 1, 5000, 2]


_NOTE = """
import datetime, sys
from include.incidents.model import EntryKind, NewEntry
from include.incidents.sql_store import SqlIncidentStore
store = SqlIncidentStore(sys.argv[1])
store.append(sys.argv[2], NewEntry(EntryKind.NOTE, "somebody", "Seen.", datetime.datetime.now(datetime.UTC)))
print("written", flush=True)
sys.stdin.readline()
store.close()
"""


def test_a_second_store_of_the_process_does_not_blind_the_first(tmp_path: Path) -> None:
    """Whoever closes a file of SQLite's gives back the locks of the whole process, and others take its log away."""
    first = sqlite(tmp_path)
    opened = first.store.open(new_incident(first))[0]
    second = SqlIncidentStore(first.url)
    second.open_incidents()
    for number in (1, 2, 3):
        command = [sys.executable, "-c", _NOTE, first.url, opened.id]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
            assert other.stdout is not None
            assert other.stdout.readline() == "written\n"
            for store in (first.store, second):
                assert len(store.timeline(opened.id)) == 1 + number  # while the other one has it open
            other.communicate("\n", timeout=60)
    second.close()
    first.close()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"no database at all, but long enough to be looked at" * 50, "not a database"),
        (None, "unable to open|directory"),
    ],
)
def test_what_is_no_database_is_said_at_once(tmp_path: Path, content: bytes | None, says: str) -> None:
    path = tmp_path / "incidents.db"
    path.mkdir() if content is None else path.write_bytes(content)
    store = SqlIncidentStore(f"sqlite:///{path}")
    started = time.monotonic()
    with pytest.raises(StoreUnavailableError, match=says):
        store.recent()
    assert time.monotonic() - started < 3
    store.close()


@pytest.mark.parametrize("url", ["mysql://x/y", "sqlite://", "sqlite:///:memory:"])
def test_other_databases_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match="incident store"):
        create_store_engine(url)


# --- PostgreSQL alone


@pytest.mark.integration
def test_a_restarted_server_is_not_noticed_and_a_stopped_one_is_said_without_the_password(
    postgres: PostgresServer,
) -> None:
    url = postgres.fresh_database()
    store = SqlIncidentStore(url.replace("tester@", "tester:hunter2@"), patience=0.5)
    assert store.recent() == ()
    postgres.stop()
    with pytest.raises(StoreUnavailableError, match=r"postgresql://tester:\*\*\*@127.0.0.1.*refused") as failure:
        store.recent()
    assert "hunter2" not in str(failure.value)
    postgres.start()
    assert store.recent() == ()
    store.close()


@pytest.mark.integration
def test_a_session_that_the_server_ends_in_the_middle_is_begun_again(postgres: PostgresServer) -> None:
    url = postgres.fresh_database()
    store = SqlIncidentStore(url)
    ended = []

    @event.listens_for(store._ready(), "after_cursor_execute")
    def end(connection: Any, *_: Any) -> None:
        if not ended:
            ended.append(connection.connection.driver_connection.info.backend_pid)
            with postgres.connect("postgres") as administrator:
                administrator.execute("SELECT pg_terminate_backend(%s)", (ended[0],))

    backend = Backend(lambda: store, sqlite(Path("unused")).clock, url)
    incident, _ = backend.store.open(new_incident(backend))
    assert ended
    assert incident.id == "INC-2026-0001"
    store.close()
