"""What only MySQL's own server does, and the way from the topic into its tables."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from include.health.observations import Code, Outcome
from include.health.probes.mysql_canary import MysqlCanaryProbe
from include.settings import Settings
from include.stack.ports import free_ports
from include.warehouse.dialect import MYSQL, dialect_on
from include.warehouse.engine import create_warehouse_engine
from include.warehouse.heartbeats import beat
from include.warehouse.migrations import migrate
from tests.support.averages import read_averages
from tests.support.reference import reference_averages
from tests.support.servers import KafkaServer, MySQLServer
from tests.support.stream_job import StreamJob, TradeFeed, ledger, published_beside, running_job
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]

SYMBOL = "GENUINEUSDT"


@pytest.fixture
def mysql(_genuine_mysql: MySQLServer) -> MySQLServer:
    """MySQL itself."""
    _genuine_mysql.ensure_running()
    return _genuine_mysql


@pytest.fixture
def job(kafka: KafkaServer, mysql: MySQLServer) -> Iterator[StreamJob]:
    """The job, with small batches, so that a fault is likely to hit one."""
    (port,) = free_ports(1)
    own = {"mysql_database": "stream_genuine", "trades_topic": "stream-genuine", "symbols": (SYMBOL,)}
    small = {"micro_batch_seconds": 0.1, "max_offsets_per_trigger": 3000, "processor_health_port": port}
    with running_job(mysql.settings, kafka, mysql, **own, **small) as job:
        yield job


def execute(mysql: MySQLServer, *statements: str) -> None:
    with closing(mysql.connect()) as connection:
        for statement in statements:
            connection.cursor().execute(statement)


def test_passwords_go_over_tls_without_any_certificate_of_ours(mysql: MySQLServer, fresh_database: Settings) -> None:
    """The server makes its own; somebody who switches TLS off locks out whoever logs in anew."""
    migrate(fresh_database)
    reload = "ALTER INSTANCE RELOAD TLS NO ROLLBACK ON ERROR"
    with closing(MysqlCanaryProbe(fresh_database)) as probe:
        execute(mysql, "FLUSH PRIVILEGES")  # it forgets who was let in before
        assert probe.look().outcome is Outcome.OK
        execute(mysql, "SET GLOBAL tls_version = ''", reload, "FLUSH PRIVILEGES")
        try:
            seen = probe.look()
        finally:
            execute(mysql, "SET GLOBAL tls_version = DEFAULT", reload)
        assert (seen.outcome, seen.code, seen.number) == (Outcome.FAILED, Code.CREDENTIALS, 2061)
        assert "CR_AUTH_PLUGIN_ERR" in (seen.error or "")
        assert probe.look().outcome is Outcome.OK


def test_no_statement_is_deprecated(fresh_database: Settings) -> None:
    migrate(fresh_database)
    engine = create_warehouse_engine(fresh_database)
    with engine.begin() as connection:
        assert dialect_on(connection) is MYSQL
        beat(connection, "test", 0, 0)
        assert connection.exec_driver_sql("SHOW WARNINGS").all() == []
        connection.exec_driver_sql(f"SELECT id FROM {MYSQL.connections}")  # noqa: S608 - names from code
        assert connection.exec_driver_sql("SHOW WARNINGS").all() == []
    engine.dispose()


def test_averages_are_exact_though_the_database_is_killed_in_the_middle_of_a_write(
    job: StreamJob, mysql: MySQLServer
) -> None:
    feed, trades, pid = TradeFeed(job.settings), ledger(SYMBOL, 20_000, rate=500), job.pid
    load = published_beside(feed, trades, seconds=5)
    job.await_batch("mysql")
    mysql.kill()
    wait_for(lambda: job.health()["status"] == "retrying_mysql", 20, "the job notices")
    mysql.start()
    wait_for(lambda: job.health()["status"] == "running", 30, "the job goes on")
    load.join()
    job.await_all_counted()
    assert read_averages(job.settings) == reference_averages(trades, job.settings.windows)
    assert job.pid == pid
