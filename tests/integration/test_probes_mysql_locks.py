"""Locks on the real MySQL: the canary fails, who waits is counted, and who holds them is named."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress

import pytest
from mysql.connector.errors import Error as driver_error  # noqa: N813 - "mysql" is the server here

from include.health.observations import Code, LocksFacts, Outcome, Probe
from include.settings import Settings
from include.warehouse.dialect import MARIADB, MYSQL
from include.warehouse.engine import driver_connection
from tests.support.genuine_mysql import GenuineMySQLServer
from tests.support.mysql_looks import (
    Looks,
    all_looks,  # noqa: F401 - the fixture looks
    execute,
    migrated_settings,  # noqa: F401 - the fixture settings
)
from tests.support.servers import MySQLServer
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.integration, pytest.mark.both_databases]

ASKED_ANEW = 0.3  # the server repeats its last answer about locks to whoever asks again within 0.1 s


@pytest.fixture
def may_see_locks(mysql: MySQLServer, settings: Settings) -> Iterator[None]:
    """The account has the rights that the dialect names."""
    account = f"'{settings.mysql_user}'@'127.0.0.1'"
    rights = ["PROCESS ON *.*"]
    if isinstance(mysql, GenuineMySQLServer):
        rights.append("SELECT ON performance_schema.*")
    for right in rights:
        execute(mysql, f"GRANT {right} TO {account}")
    yield
    for right in rights:
        execute(mysql, f"REVOKE {right} FROM {account}")


@contextmanager
def waiting(settings: Settings, statement: str) -> Iterator[None]:
    """A statement of the pipeline's account that waits for a lock."""
    connection = driver_connection(settings, autocommit=True)

    def wait() -> None:
        with suppress(driver_error):
            connection.cursor().execute(statement)

    thread = threading.Thread(target=wait)
    thread.start()
    yield
    thread.join(20)
    connection.close()


@pytest.mark.usefixtures("may_see_locks")
def test_a_locked_table_fails_the_canary_and_its_holder_is_named(
    mysql: MySQLServer, settings: Settings, looks: Looks
) -> None:
    with closing(mysql.connect(settings.mysql_database)) as holder:
        cursor = holder.cursor()
        cursor.execute("LOCK TABLES moving_averages WRITE")
        observation = looks()
        assert (observation.outcome, observation.code, observation.number) == (Outcome.FAILED, Code.LOCKED, 1205)
        assert looks.verdict(Probe.MYSQL_LEDGER) == (Outcome.FAILED, Code.LOCKED)
        with waiting(settings, "SELECT COUNT(*) FROM moving_averages"):
            locks = wait_for(lambda: seen_waiting(looks), 5, interval=ASKED_ANEW)
            cursor.execute("UNLOCK TABLES")
        assert f"connection {holder.connection_id} (root@localhost" in locks.blockers[0]
    looks.good(Probe.MYSQL_CANARY)
    looks.good(Probe.MYSQL_LEDGER)


@pytest.mark.usefixtures("may_see_locks")
def test_locked_rows_and_their_holder(mysql: MySQLServer, settings: Settings, looks: Looks) -> None:
    looks.good(Probe.MYSQL_CANARY)
    with closing(mysql.connect(settings.mysql_database)) as holder:
        cursor = holder.cursor()
        cursor.execute("BEGIN")
        cursor.execute("SELECT * FROM heartbeats FOR UPDATE")
        cursor.fetchall()
        assert looks.verdict() == (Outcome.FAILED, Code.LOCKED)
        with waiting(settings, "UPDATE heartbeats SET pid = 1"):
            locks = wait_for(lambda: seen_waiting(looks), 5, interval=ASKED_ANEW)
            name = f"connection {holder.connection_id} (root@localhost"
            holder.rollback()
    assert name in locks.blockers[0]
    assert "on rows of" in locks.blockers[0]
    assert f"{settings.mysql_database}.heartbeats" in locks.blockers[0]
    assert "UPDATE" not in locks.blockers[0]
    wait_for(lambda: looks.good(Probe.MYSQL_LOCKS).waiting == 0, 5, interval=ASKED_ANEW)


def seen_waiting(looks: Looks) -> LocksFacts | None:
    facts = looks.good(Probe.MYSQL_LOCKS)
    assert isinstance(facts, LocksFacts)
    return facts if facts.waiting and facts.blockers else None


def test_without_the_right_it_sees_its_own_waits_and_says_so(
    mysql: MySQLServer, settings: Settings, looks: Looks
) -> None:
    with closing(mysql.connect(settings.mysql_database)) as holder:
        holder.cursor().execute("LOCK TABLES moving_averages WRITE")
        with waiting(settings, "SELECT COUNT(*) FROM moving_averages"):
            wait_for(lambda: looks.good(Probe.MYSQL_LOCKS).waiting == 1, 5)
            holder.cursor().execute("UNLOCK TABLES")
    rights = MYSQL.lock_rights if isinstance(mysql, GenuineMySQLServer) else MARIADB.lock_rights
    assert (looks(Probe.MYSQL_LOCKS).error or "").endswith(f"without {rights}")
