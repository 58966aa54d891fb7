"""The rungs of MySQL against a real server under the real process host."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import mysql.connector
import pytest

from include.playbook.ladder import RungId
from include.playbook.names import Cause, Component, ScenarioId, Severity
from include.remediation.model import RungOutcome
from include.services.names import MYSQL
from include.settings import Settings
from include.stack import host as host_module
from include.stack import mariadb
from include.stack.ports import free_ports
from include.stack.processes import launch_command
from include.stack.secrets import read_secret
from include.warehouse.migrations import known_migrations, migrate, schema_problems
from tests.support import genuine_mysql
from tests.support.debian import NotToBeHadError
from tests.support.remediation_host import Case, Hosted
from tests.support.servers import fetch_artifacts
from tests.support.waiting import wait_for

pytestmark = pytest.mark.integration
RESTART, LOGIN, SCHEMA = RungId.RESTART_MYSQL, RungId.VALIDATE_CREDENTIALS, RungId.VALIDATE_SCHEMA
LADDER = (RESTART, LOGIN, SCHEMA)


@pytest.fixture(scope="module", params=["mariadb", "mysql"])
def hosted(request: pytest.FixtureRequest, stack_settings: Settings) -> Iterator[Hosted]:
    """With the embedded MariaDB, and with MySQL's own server in its place."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "mariadb":
            fetch_artifacts(stack_settings, "mariadb")
        else:
            try:
                genuine_mysql.fetch(stack_settings)
            except NotToBeHadError as error:
                pytest.skip(str(error))
            patch.setattr(host_module, "launch_command", _launch_genuine)
        yield from _hosted()


def _launch_genuine(name: str) -> list[str]:
    return [sys.executable, "-m", genuine_mysql.__name__] if name == MYSQL else launch_command(name)


def _hosted() -> Iterator[Hosted]:
    with Hosted.running() as host:
        host.controller.start(MYSQL, 30)
        wait_for(lambda: migrate(host.settings), 60, "the tables are made")
        yield host


@pytest.fixture
def make_case(hosted: Hosted, tmp_path: Path) -> Iterator[Callable[..., Case]]:
    with ExitStack() as stack:
        told = (ScenarioId.MYSQL_NOT_WRITING, Component.MYSQL)

        def make(cause: Cause = Cause.PROCESS_GONE, **changes: object) -> Case:
            return stack.enter_context(hosted.case(tmp_path, *told, cause, Severity.SEV_2, **changes))

        yield make


@pytest.fixture
def case(make_case: Callable[..., Case]) -> Case:
    return make_case()


@pytest.fixture
def admin(hosted: Hosted) -> Callable[..., None]:
    def execute(*statements: str) -> None:
        with closing(_admin(hosted)) as connection:
            cursor = connection.cursor()
            for statement in statements:
                cursor.execute(statement)

    return execute


def _admin(hosted: Hosted) -> mysql.connector.MySQLConnection:
    settings = hosted.settings
    return mysql.connector.connect(
        unix_socket=str(mariadb.socket_path(settings)),
        user="root",
        password=read_secret(settings, "mysql_root_password"),
        database=settings.mysql_database,
        autocommit=True,
    )


def test_a_server_that_answers_is_left_alone(case: Case) -> None:
    pid = case.pid(MYSQL)
    assert [case.run(rung).outcome for rung in LADDER] == [RungOutcome.NOT_NEEDED] * 3
    assert (case.pid(MYSQL), case.actions()) == (pid, ())


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_a_dead_and_a_hung_server_are_back_within_seconds(case: Case, number: signal.Signals) -> None:
    pid = case.pid(MYSQL)
    os.kill(pid, number)
    begin = time.monotonic()
    report = case.run(RESTART)
    took = time.monotonic() - begin
    assert report.outcome is RungOutcome.DONE, report.text
    assert case.pid(MYSQL) != pid
    assert took < 20, report  # 1 to 3 s on a machine that does nothing else


def test_a_changed_password_is_named_and_nothing_is_done(
    make_case: Callable[..., Case], admin: Callable[..., None]
) -> None:
    """Also while the diagnosis still says something else."""
    case = make_case(cause=Cause.UNKNOWN)
    pid, user = case.pid(MYSQL), case.settings.mysql_user
    password = case.settings.mysql_password.get_secret_value()
    admin(f"ALTER USER '{user}'@'127.0.0.1' IDENTIFIED BY 'another'")
    try:
        reports = [case.run(rung) for rung in LADDER]
        assert [report.outcome for report in reports] == [RungOutcome.BY_PEOPLE] * 3, reports
        assert all(report.facts["number"] == 1045 and "1045" in report.text for report in reports)
        assert "password file mysql_password" in reports[1].text
        assert all(password not in str(report) for report in reports)
        assert (case.pid(MYSQL), case.actions()) == (pid, ())
    finally:
        admin(f"ALTER USER '{user}'@'127.0.0.1' IDENTIFIED BY '{password}'")


def test_revoked_rights_are_named_and_nothing_is_done(case: Case, admin: Callable[..., None]) -> None:
    account = f"'{case.settings.mysql_user}'@'127.0.0.1'"
    database = case.settings.mysql_database
    admin(f"REVOKE INSERT ON `{database}`.* FROM {account}")
    try:
        reports = [case.run(RESTART), case.run(LOGIN)]
        assert [report.outcome for report in reports] == [RungOutcome.BY_PEOPLE] * 2
        assert all(report.facts["number"] == 1142 for report in reports)
        assert f"the grants of the account on the database {database}" in reports[1].text
        assert case.actions() == ()
    finally:
        admin(f"GRANT ALL PRIVILEGES ON `{database}`.* TO {account}")


def test_a_missing_migration_is_applied(case: Case, admin: Callable[..., None]) -> None:
    """The newest one, or the only one."""
    newest = known_migrations()[-1]
    tables = [words.split()[0] for words in newest.sql.split("CREATE TABLE IF NOT EXISTS ")[1:]]
    assert tables
    admin(
        *(f"DROP TABLE `{table}`" for table in tables),
        f"DELETE FROM schema_migrations WHERE version = {newest.version}",  # noqa: S608 - a number of ours
    )
    report = case.run(SCHEMA)
    assert report.outcome is RungOutcome.DONE, report.text
    assert report.facts["applied"] == [f"{newest.version:04d}_{newest.name}"]
    assert schema_problems(case.settings) == []
    assert case.run(SCHEMA).outcome is RungOutcome.NOT_NEEDED


def test_a_changed_column_is_named_and_left_to_people(case: Case, admin: Callable[..., None]) -> None:
    admin("ALTER TABLE moving_averages CHANGE trade_count trades INT NOT NULL DEFAULT 0")
    try:
        restart, schema = case.run(RESTART), case.run(SCHEMA)
        assert restart.outcome is RungOutcome.FORBIDDEN
        assert restart.facts["number"] == 1054
        assert schema.outcome is RungOutcome.BY_PEOPLE
        assert "moving_averages.trade_count is missing" in schema.text
        assert case.actions() == ()
    finally:
        admin("ALTER TABLE moving_averages CHANGE trades trade_count INT UNSIGNED NOT NULL")


def test_a_lock_is_named_with_whoever_holds_it(case: Case, hosted: Hosted) -> None:
    with closing(_admin(hosted)) as blocker:
        blocker.cursor().execute("LOCK TABLES moving_averages WRITE")
        report = case.run(RESTART)
    assert report.outcome is RungOutcome.BY_PEOPLE
    assert report.facts["number"] == 1205
    assert "Ask its owner" in report.text


def test_wrong_settings_are_named_with_where_the_server_listens(make_case: Callable[..., Case]) -> None:
    (wrong,) = free_ports(1)
    case = make_case(mysql_port=wrong)
    report = case.run(RESTART)
    assert report.outcome is RungOutcome.BY_PEOPLE, report.text
    assert report.facts["asked"] == f"127.0.0.1:{wrong}"
    assert f"listens on {', '.join(report.facts['listening'])}" in report.text
    assert case.run(LOGIN).outcome is RungOutcome.UNKNOWN
    assert case.run(SCHEMA).outcome is RungOutcome.UNKNOWN
