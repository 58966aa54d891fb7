"""What the rungs of MySQL conclude from what they see; for the real server see tests/integration."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from include.health.observations import Code, LocksFacts, Observation, Probe, SchemaFacts
from include.playbook.names import Cause, Component, ScenarioId
from include.remediation import mysql_refusals
from include.remediation.errors import RungError
from include.remediation.model import Need, RungWork, RunRequest
from include.remediation.rungs_mysql import RestartMysql, ValidateCredentials, ValidateSchema
from include.remediation.tools import Tools
from include.warehouse import migrations
from include.warehouse.errors import MigrationError
from tests.support.remediating import Bench, observation
from tests.support.waiting import wait_for

CANARY, SCHEMA = Probe.MYSQL_CANARY, Probe.MYSQL_SCHEMA
Seen = Observation | list[Observation]
GOOD, SILENT = observation(CANARY), observation(CANARY, Code.TIMEOUT)
BLOCKER = "connection 7 (ada@localhost, asleep for 90 s) blocks 1"


def says(code: Code, number: int | None = None) -> Observation:
    return observation(CANARY, code, number=number)


def request(bench: Bench) -> RunRequest:
    told = {"scenario": ScenarioId.MYSQL_NOT_WRITING, "target": Component.MYSQL, "cause": Cause.UNKNOWN}
    return bench.request(bench.incident(**told))


def running(bench: Bench, age: float = 60.0) -> None:
    bench.tools.controller.start("mysql", 5)
    started = bench.tools.controller.status("mysql").started_at
    assert started is not None
    bench.clock.advance((started - bench.tools.now()).total_seconds() + age)


def dead(bench: Bench, log: str = "") -> None:
    running(bench)
    pid = bench.tools.controller.status("mysql").pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: bench.tools.controller.status("mysql").pid is None, 5, interval=0.005)
    (bench.tools.settings.log_dir / "mysql.log").write_text(log)


@pytest.mark.parametrize(
    ("seen", "need", "words"),
    [
        (GOOD, Need.NOT_NEEDED, "takes a row"),
        (SILENT, Need.NEEDED, "lives and does not answer"),
        (says(Code.CONNECTIVITY, 2013), Need.NEEDED, "lives and does not answer"),
        ([SILENT, GOOD], Need.NOT_NEEDED, "takes a row"),  # one late answer is no outage
        (says(Code.CREDENTIALS, 1045), Need.BY_PEOPLE, "error 1045"),
        (says(Code.CREDENTIALS, 1142), Need.BY_PEOPLE, "SHOW GRANTS"),
        (says(Code.SCHEMA, 1146), Need.FORBIDDEN, "validates the schema"),
        (says(Code.SCHEMA, 1049), Need.BY_PEOPLE, "has no database crypto"),
        (says(Code.READ_ONLY, 1290), Need.BY_PEOPLE, "error 1290"),
        (says(Code.DISK_FULL, 1114), Need.BY_PEOPLE, "Biggest folders: data/mysql 3.0 KiB"),
        (says(Code.LOCKED, 1205), Need.BY_PEOPLE, f"In the way: {BLOCKER}"),
        (says(Code.CAPACITY, 1040), Need.BY_PEOPLE, "error 1040"),
        (says(Code.DATA, 1264), Need.BY_PEOPLE, "error 1264"),
        (says(Code.UNKNOWN), Need.BY_PEOPLE, "error without a number"),
        (says(Code.UNREACHABLE), Need.BY_PEOPLE, "PIPELINE_MYSQL_HOST"),
        (says(Code.OWN_CREDENTIALS), Need.UNKNOWN, "Nothing is done"),
        (says(Code.NOT_AVAILABLE), Need.UNKNOWN, "Nothing is done"),
        (says(Code.REFUSED, 2003), Need.NEEDED, "does not answer"),  # it listens nowhere
    ],
    ids=lambda value: value.code.value if isinstance(value, Observation) else None,
)
def test_a_server_that_lives(bench: Bench, seen: Seen, need: Need, words: str) -> None:
    running(bench)
    folder = bench.tools.settings.data_dir / "mysql"
    folder.mkdir(parents=True)
    (folder / "ibdata1").write_bytes(bytes(3 * 1024))
    locks = LocksFacts(waiting=1, longest_wait_seconds=9.0, blockers=(BLOCKER,))
    bench.seen |= {CANARY: seen, Probe.MYSQL_LOCKS: observation(Probe.MYSQL_LOCKS, facts=locks)}
    found = RestartMysql(bench.tools, request(bench)).need()
    assert (found.need, words in found.text) == (need, True), found.text


def test_wrong_settings_are_told_from_a_server_that_hangs(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    running(bench)
    monkeypatch.setattr(mysql_refusals, "listening_at", lambda _: ("127.0.0.1:3307",))
    bench.seen |= {CANARY: says(Code.REFUSED, 2003)}
    found = RestartMysql(bench.tools, request(bench)).need()
    assert found.need is Need.BY_PEOPLE
    assert "ask for 127.0.0.1:2, and nobody listens there" in found.text
    assert "listens on 127.0.0.1:3307" in found.text


@pytest.mark.parametrize("host", ["10.0.0.7", "db.example.org"])
def test_a_server_elsewhere_is_not_ours_to_restart(bench: Bench, host: str) -> None:
    dead(bench)
    tools = replace(bench.tools, settings=bench.tools.settings.model_copy(update={"mysql_host": host}))
    found = RestartMysql(tools, request(bench)).need()
    assert (found.need, "not on this machine" in found.text) == (Need.BY_PEOPLE, True)


@pytest.mark.parametrize(
    ("log", "need", "words"),
    [
        ("", Need.NEEDED, "ended by signal 9"),
        ("2099-01-01  0:00:01 0 [ERROR] InnoDB: disk is full: No space left on device", Need.BY_PEOPLE, "is full"),
        ("2001-01-01  0:00:01 0 [ERROR] InnoDB: disk is full: No space left on device", Need.NEEDED, "signal 9"),
    ],
)
def test_a_server_that_is_gone(bench: Bench, log: str, need: Need, words: str) -> None:
    dead(bench, log)
    found = RestartMysql(bench.tools, request(bench)).need()
    assert (found.need, words in found.text) == (need, True), found.text


def test_a_server_that_replays_its_log_is_not_cut_short(bench: Bench) -> None:
    running(bench, age=1.0)
    bench.seen |= {CANARY: [*[says(Code.REFUSED, 2003)] * 30, GOOD]}
    assert RestartMysql(bench.tools, request(bench)).need().need is Need.NOT_NEEDED


@pytest.mark.parametrize(
    ("seen", "need", "words"),
    [
        (GOOD, Need.NOT_NEEDED, "The account pipeline logs in"),
        (says(Code.CREDENTIALS, 1045), Need.BY_PEOPLE, "password file mysql_password"),
        (says(Code.LOCKED, 1205), Need.NOT_NEEDED, "something else"),
        (says(Code.SCHEMA, 1146), Need.NOT_NEEDED, "something else"),
        (SILENT, Need.UNKNOWN, "when it answers"),
        (says(Code.REFUSED, 2003), Need.UNKNOWN, "when it answers"),
        (says(Code.CAPACITY, 1040), Need.UNKNOWN, "when it answers"),
        (says(Code.OWN_CREDENTIALS, 1045), Need.UNKNOWN, "Nothing is done"),
    ],
)
def test_credentials(bench: Bench, seen: Seen, need: Need, words: str) -> None:
    bench.seen |= {CANARY: seen, Probe.MYSQL_LOCKS: observation(Probe.MYSQL_LOCKS, Code.TIMEOUT)}
    found = ValidateCredentials(bench.tools, request(bench)).need()
    assert (found.need, words in found.text) == (need, True), found.text


def tables(*problems: str) -> Observation:
    return observation(SCHEMA, facts=SchemaFacts(problems=problems))


MISSING = "migration 0002_data_notices is not applied (python -m include.warehouse migrate)"
CHANGED = "column moving_averages.sma is double, expected decimal(30,12)"


@pytest.mark.parametrize(
    ("seen", "need", "words"),
    [
        (tables(), Need.NOT_NEEDED, "what the migrations made"),
        (tables(MISSING), Need.NEEDED, "Migration 0002_data_notices is not applied"),
        (tables(CHANGED), Need.BY_PEOPLE, "Column moving_averages.sma is double"),
        (tables("migration 0001_tables was changed after it was applied"), Need.BY_PEOPLE, "Find out who"),
        (observation(SCHEMA, Code.NOT_AVAILABLE), Need.NEEDED, "no tables yet"),
        (observation(SCHEMA, Code.OWN_FAULT), Need.UNKNOWN, "Nothing is done"),
        (observation(SCHEMA, Code.REFUSED, number=2003), Need.UNKNOWN, "cannot be compared"),
        (observation(SCHEMA, Code.CREDENTIALS, number=1045), Need.BY_PEOPLE, "error 1045"),
    ],
)
def test_schema(bench: Bench, seen: Seen, need: Need, words: str) -> None:
    bench.seen |= {SCHEMA: seen}
    found = ValidateSchema(bench.tools, request(bench)).need()
    assert (found.need, words in found.text) == (need, True), found.text


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (["0002_data_notices"], "Applied: 0002_data_notices."),
        ([], "No migration was missing any more."),
        (MigrationError("another process has held the lock"), "another process has held the lock"),
        (OperationalError("CREATE TABLE secret_things", {}, OSError("gone away")), "gone away"),
    ],
)
def test_migrations(bench: Bench, monkeypatch: pytest.MonkeyPatch, answer: Any, words: str) -> None:
    def migrate(_: object) -> list[str]:
        if isinstance(answer, Exception):
            raise answer
        return list(answer)

    monkeypatch.setattr(migrations, "migrate", migrate)
    rung = ValidateSchema(bench.tools, request(bench))
    if isinstance(answer, Exception):
        with pytest.raises(RungError, match=words) as raised:
            rung.do()
        assert "secret_things" not in str(raised.value)
    else:
        assert rung.do().text == words


@pytest.mark.parametrize(
    ("rung", "seen", "good"),
    [
        (ValidateSchema, {SCHEMA: tables(), CANARY: GOOD}, True),
        (ValidateSchema, {SCHEMA: tables(MISSING), CANARY: GOOD}, False),
        (ValidateSchema, {SCHEMA: tables(), CANARY: says(Code.SCHEMA, 1146)}, False),
        (ValidateSchema, {SCHEMA: observation(SCHEMA, Code.TIMEOUT), CANARY: GOOD}, False),
        (RestartMysql, {CANARY: GOOD}, True),
        (RestartMysql, {CANARY: says(Code.CREDENTIALS, 1045)}, False),
    ],
)
def test_proof(
    bench: Bench, rung: Callable[[Tools, RunRequest], RungWork], seen: dict[Probe, Observation], good: bool
) -> None:
    running(bench)
    bench.seen |= seen
    assert rung(bench.tools, request(bench)).proof().good is good
