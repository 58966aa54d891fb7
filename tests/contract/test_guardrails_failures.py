"""When the store is away or fails in the middle: nothing is half done, and nothing is done twice."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import event, text
from sqlalchemy.exc import OperationalError

from include.guardrails import commands
from include.guardrails.base import BaseGuardrails
from include.guardrails.factory import guardrails_from_settings
from include.guardrails.memory import MemoryGuardrails
from include.guardrails.model import Action, ActionState, Refusal, Refused
from include.guardrails.sql import SqlGuardrails
from include.incidents import migrate as migration
from include.incidents.base_store import BaseIncidentStore
from include.incidents.errors import CorruptStoreError, StoreUnavailableError
from include.incidents.sql_engine import create_store_engine
from include.playbook.ladder import RungId
from include.playbook.names import Component
from include.settings import load_settings
from tests.support.guarding import Guard
from tests.support.incident_stores import Backend, hold_lock, memory, new_incident

Command = Callable[[BaseGuardrails], object]


def everything(guard: Guard) -> tuple[object, ...]:
    """All that can be seen of the store."""
    rails = guard.rails
    return (rails.actions(), rails.leases(), rails.switches(), rails.switch_changes(), guard.told())


def sql(guard: Guard, **options: Any) -> SqlGuardrails:
    rails = guard.another(**options)
    assert isinstance(rails, SqlGuardrails)
    return rails


def changes(guard: Guard) -> dict[str, Command]:
    """Each kind of command, all of which change something; one action runs, of another the process is dead."""
    guard.begin(rung=RungId.RESTART_PRODUCER, target=Component.PRODUCER, services=("btc_producer",), holder="gone")
    running = guard.begin(rung=RungId.RESTART_MYSQL, target=Component.MYSQL, services=("mysql",))
    guard.rails.pause("kafka_lag", reason="quiet", by="ops")
    guard.rails.lease("exchange", holder="supervision", purpose="start", seconds=60)
    guard.lives["gone"] = False
    return {
        "begin": lambda rails: rails.begin(guard.request(run="run 2")),
        "settle and begin": lambda rails: rails.begin(guard.request(run="run 2", services=("kafka", "btc_producer"))),
        "refuse": lambda rails: rails.begin(guard.request(target=Component.MYSQL, run="run 2")),
        "end": lambda rails: rails.end(running.id, ActionState.SUCCEEDED, "it answers", {"pid": 7}),
        "settle": lambda rails: rails.settle(),
        "pause": lambda rails: rails.pause("all", reason="storm", by="ops"),
        "resume": lambda rails: rails.resume("kafka_lag", by="ops"),
        "lease": lambda rails: rails.lease("kafka", holder="supervision", purpose="start", seconds=60),
        "take over": lambda rails: rails.lease("btc_producer", holder="supervision", purpose="start", seconds=60),
        "give back": lambda rails: rails.give_back("exchange", "supervision"),
    }


NAMES = ("begin", "settle and begin", "refuse", "end", "settle", "pause", "resume", "lease", "take over", "give back")


@pytest.mark.parametrize("name", NAMES)
def test_a_command_that_fails_at_any_statement_has_done_nothing(database_guard: Guard, name: str) -> None:
    guard = database_guard
    run = changes(guard)[name]
    rails, before = sql(guard), everything(guard)
    failures = 0
    while fails_at(rails, failures, run):  # at its first statement, at its second …, until there is none any more
        failures += 1
        assert everything(guard) == before
        assert guard.backend.store.verify() == ()
    assert failures > 1
    assert everything(guard) != before


def fails_at(rails: SqlGuardrails, number: int, run: Command) -> bool:
    with failing_at(rails, number), suppress(StoreUnavailableError):
        run(rails)
        return False
    return True


@contextmanager
def failing_at(rails: SqlGuardrails, number: int) -> Iterator[None]:
    """The database refuses the statement with this number, and the commit that comes after the last one."""
    engine, seen = rails._store._ready(), [0]

    def fail(*_: Any) -> None:
        seen[0] += 1
        if seen[0] > number:
            raise OperationalError("…", {}, _refusal(engine.dialect.name, "disk full"))

    event.listen(engine, "before_cursor_execute", fail)
    event.listen(engine, "commit", fail)
    try:
        yield
    finally:
        event.remove(engine, "before_cursor_execute", fail)
        event.remove(engine, "commit", fail)


def _refusal(dialect: str, words: str) -> Exception:
    if dialect == "sqlite":
        error = sqlite3.OperationalError(words)
        error.sqlite_errorcode = sqlite3.SQLITE_FULL  # type: ignore[misc]
        return error
    return psycopg.errors.DiskFull(words)


@pytest.mark.parametrize("name", NAMES)
def test_a_commit_that_was_confirmed_too_late_is_not_done_again(database_guard: Guard, name: str) -> None:
    """The same as on guardrails in memory, whose commits are never lost."""
    guard = database_guard
    run, rails, lost = changes(guard)[name], sql(guard), list[bool]()
    engine = rails._store._ready()
    commit = engine.dialect.do_commit

    def commit_and_lose(connection: Any) -> None:
        commit(connection)
        if not lost:
            lost.append(True)
            raise OperationalError("COMMIT", {}, _refusal(engine.dialect.name, "lost"), connection_invalidated=True)

    engine.dialect.do_commit = commit_and_lose  # type: ignore[method-assign]
    answer = run(rails)
    assert lost == [True]

    twin = Guard(memory())
    expected = changes(twin)[name](twin.rails)
    assert answer == expected
    assert everything(guard) == everything(twin)


def test_a_store_that_stays_busy_lets_nothing_begin(database_guard: Guard) -> None:
    guard = database_guard
    rails, release = sql(guard, patience=0.3), threading.Event()
    thread = hold_lock(guard.backend, release)
    try:
        with pytest.raises(StoreUnavailableError, match="cannot be used"):
            rails.begin(guard.request())
        assert rails.check(guard.request()) is None  # a look needs no lock
    finally:
        release.set()
        thread.join()
    assert guard.rails.actions() == ()
    assert guard.told() == ()
    assert isinstance(rails.begin(guard.request()), Action)


def test_the_database_alone_keeps_a_second_action_from_the_target(
    guard: Guard, monkeypatch: pytest.MonkeyPatch
) -> None:
    guard.begin(run="run 0")
    monkeypatch.setattr(commands, "judge", lambda *_: None)  # whatever the program thinks
    answer = guard.rails.begin(guard.request(rung=RungId.VALIDATE_TOPICS))
    assert isinstance(answer, Refused)
    assert answer.refusal is Refusal.TARGET_BUSY
    assert len(guard.rails.actions()) == 1


def test_a_row_that_was_never_written_by_us_is_named(database_guard: Guard) -> None:
    action = database_guard.begin()
    database_guard.backend.execute("UPDATE guardrail_actions SET rung = 'gremlins'")
    with pytest.raises(CorruptStoreError, match=f"Action {action.id}.*gremlins"):
        database_guard.rails.actions()
    database_guard.backend.execute("UPDATE guardrail_actions SET rung = 'restart_kafka'")


def test_memory_goes_back_to_where_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    guard = Guard(memory())
    before = everything(guard)

    def fail(*_: Any) -> None:
        raise RuntimeError("in the middle")

    monkeypatch.setattr(commands, "_tell_start", fail)
    with pytest.raises(RuntimeError, match="in the middle"):
        guard.rails.begin(guard.request())
    assert everything(guard) == before


def test_guardrails_in_memory_may_tell_of_themselves_in_any_store(database: Backend) -> None:
    assert isinstance(database.store, BaseIncidentStore)
    rails = MemoryGuardrails(database.clock, database.store)
    guard = Guard(database)
    assert isinstance(rails.begin(guard.request()), Action)
    assert len(guard.told()) == 1
    guard.close()


# --- the tables


def test_a_store_of_the_version_before_gets_its_tables_and_keeps_its_incidents(bare_database: Backend) -> None:
    engine = create_store_engine(bare_database.url)
    config = Config()
    config.set_main_option("script_location", str(migration._FOLDER))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        version = connection.execute(text("SELECT version_num FROM crypto_incident_response_version")).scalar()
    engine.dispose()
    assert version == "0001"
    incident, _ = bare_database.store.open(new_incident(bare_database))
    rails = SqlGuardrails(bare_database.url, bare_database.clock)
    assert rails.actions() == ()
    assert bare_database.store.recent() == (incident,)
    rails.close()


def test_the_settings_name_the_store(tmp_path: Any) -> None:
    settings = load_settings(tmp_path / "none", home=tmp_path)
    rails = guardrails_from_settings(settings)
    path = settings.data_dir / "incidents" / "incidents.db"
    assert not path.exists()  # until it is used
    assert rails.switches() == ()
    assert path.is_file()
    rails.close()
