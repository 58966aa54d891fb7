"""Faults of a whole running stack, each switched on for the length of a ``with`` block and undone at its end."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from typing import Any

import mysql.connector
import psutil
import requests

from include.services.names import KAFKA, MYSQL, PROCESSOR, PRODUCER
from include.stack import mariadb
from include.stack.secrets import read_secret
from tests.support.pipeline import Pipeline
from tests.support.supervision import Supervised

Fault = Callable[[Pipeline], AbstractContextManager[float]]  # yields the moment of the injection (seconds, wall clock)

_START_SECONDS = 60.0


def _pid(stack: Pipeline, name: str) -> int:
    return stack.wait_for(lambda: stack.pid(name), 30, f"{name} runs")


@contextmanager
def _killed(stack: Pipeline, name: str) -> Iterator[float]:
    """SIGKILL; started again at the end."""
    os.kill(_pid(stack, name), signal.SIGKILL)
    try:
        yield time.time()
    finally:
        stack.controller.start(name, _START_SECONDS)


def _go_on(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGCONT)


@contextmanager
def _suspended(pid: int) -> Iterator[float]:
    """SIGSTOP: it keeps its sockets and does nothing. Whoever mends it ends the process, as a rule."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield time.time()
    finally:
        _go_on(pid)


def kafka_killed(stack: Pipeline) -> AbstractContextManager[float]:
    return _killed(stack, KAFKA)


def kafka_hung(stack: Pipeline) -> AbstractContextManager[float]:
    return _suspended(_pid(stack, KAFKA))


def producer_hung(stack: Pipeline) -> AbstractContextManager[float]:
    return _suspended(_pid(stack, PRODUCER))


def mysql_killed(stack: Pipeline) -> AbstractContextManager[float]:
    return _killed(stack, MYSQL)


@contextmanager
def port_taken(stack: Pipeline) -> Iterator[float]:
    """The broker is killed, and another process listens on its port before it is back."""
    os.kill(_pid(stack, KAFKA), signal.SIGKILL)
    begin = time.time()
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        stack.wait_for(lambda: _bound(holder, stack.settings.kafka_port), 10, "the port is free", interval=0.01)
        holder.listen()
        yield begin
    stack.controller.start(KAFKA, _START_SECONDS)


def _bound(holder: socket.socket, port: int) -> bool:
    with suppress(OSError):
        holder.bind(("127.0.0.1", port))
        return True
    return False


@contextmanager
def kafka_and_mysql_killed(stack: Pipeline) -> Iterator[float]:
    """Two roots at once."""
    with _killed(stack, KAFKA) as begin, _killed(stack, MYSQL):
        yield begin


@contextmanager
def batch_hung(stack: Pipeline) -> Iterator[float]:
    """In the middle of a micro-batch Spark's Java process stands still; the Python half of the job, which answers
    ``/health``, lives on.
    """
    job = psutil.Process(_pid(stack, PROCESSOR))
    java = next(child for child in job.children(recursive=True) if "java" in child.name())
    url = f"http://127.0.0.1:{stack.settings.processor_health_port}/health"

    def caught() -> bool:
        if requests.get(url, timeout=2).json()["batch"]["phase"] == "aggregate":
            os.kill(java.pid, signal.SIGSTOP)
            if requests.get(url, timeout=2).json()["batch"]["running"]:
                return True
            os.kill(java.pid, signal.SIGCONT)  # it had ended meanwhile
        return False

    stack.wait_for(caught, 30, "a batch runs", interval=0.005)
    try:
        yield time.time()
    finally:
        _go_on(java.pid)


@contextmanager
def _killed_under_supervision(stack: Pipeline, name: str) -> Iterator[float]:
    """SIGKILL; supervision brings it back at once."""
    supervised = Supervised(stack, name)
    supervised.supervising_run()
    supervised.forget_history()
    supervised.kill()
    yield time.time()


def processor_killed(stack: Pipeline) -> AbstractContextManager[float]:
    return _killed_under_supervision(stack, PROCESSOR)


def producer_killed(stack: Pipeline) -> AbstractContextManager[float]:
    return _killed_under_supervision(stack, PRODUCER)


@contextmanager
def unsupervised(stack: Pipeline, name: str) -> Iterator[None]:
    """The supervision Dag is paused: the process is not restarted."""
    dag = f"/dags/supervise_{name}"
    stack.airflow.patch(dag, {"is_paused": True})
    try:
        yield
    finally:
        stack.airflow.patch(dag, {"is_paused": False})


@contextmanager
def producer_killed_unsupervised(stack: Pipeline) -> Iterator[float]:
    supervised = Supervised(stack, PRODUCER)
    supervised.supervising_run()
    with unsupervised(stack, PRODUCER):
        time.sleep(2.5)  # the trigger asks for the Dag's switch every second or two
        supervised.kill()
        yield time.time()
    supervised.serving()


# --- The exchange ------------------------------------------------------------------------------------------------
def _control(stack: Pipeline, method: str, path: str, **json: Any) -> None:
    url = f"http://127.0.0.1:{stack.settings.exchange_control_port}/control/{path}"
    requests.request(method, url, json=json or None, timeout=5).raise_for_status()


@contextmanager
def _exchange(stack: Pipeline, **faults: Any) -> Iterator[float]:
    _control(stack, "POST", "faults", **faults)
    try:
        yield time.time()
    finally:
        _control(stack, "DELETE", "faults")
        _control(stack, "POST", "reset-limits")


def feed_silent(stack: Pipeline) -> AbstractContextManager[float]:
    """Streams send pings and no trades, and REST shows that trading goes on."""
    return _exchange(stack, silent=True)


@contextmanager
def limited_then_banned(stack: Pipeline) -> Iterator[float]:
    """429 on every REST answer, and four seconds later a ban of a minute (418)."""
    with _exchange(stack, rest_status=429):
        begin = time.time()
        time.sleep(4)  # the length of the first stage, not a wait for anything
        _control(stack, "DELETE", "faults")
        _control(stack, "POST", "faults", ban_seconds=60)
        yield begin


# --- The database ------------------------------------------------------------------------------------------------
def as_administrator(stack: Pipeline, *statements: str) -> None:
    """Run statements as the administrator, through the server's private socket."""
    connection = mysql.connector.connect(
        unix_socket=str(mariadb.socket_path(stack.settings)),
        user="root",
        password=read_secret(stack.settings, "mysql_root_password"),
        database=stack.settings.mysql_database,
        connection_timeout=5,
        autocommit=True,
    )
    with closing(connection):
        cursor = connection.cursor()
        for statement in statements:
            cursor.execute(statement)


@contextmanager
def _statements(stack: Pipeline, do: tuple[str, ...], undo: tuple[str, ...]) -> Iterator[float]:
    as_administrator(stack, *do)
    try:
        yield time.time()
    finally:
        as_administrator(stack, *undo)
        restart_processor(stack)


def credentials_revoked(stack: Pipeline) -> AbstractContextManager[float]:
    """The account's password is another one, and its connections are cut."""
    user = stack.settings.mysql_user
    own = mariadb.quoted(read_secret(stack.settings, "mysql_password"))
    accounts = [f"'{user}'@'{host}'" for host in ("127.0.0.1", "localhost")]
    change = tuple(f"ALTER USER {account} IDENTIFIED BY 'another one'" for account in accounts)
    restore = tuple(f"ALTER USER {account} IDENTIFIED BY {own}" for account in accounts)
    return _statements(stack, (*change, f"KILL USER {user}"), restore)


def column_dropped(stack: Pipeline) -> AbstractContextManager[float]:
    """The column is put back with its values, or the audit would rightly go on telling of a loss."""
    column = "ALTER TABLE moving_averages ADD COLUMN last_price DECIMAL(18,8) NOT NULL AFTER last_trade_id"
    values = (
        "UPDATE moving_averages AS a JOIN trade_minutes AS m USING (symbol, last_trade_id)"
        " SET a.last_price = m.last_price"
    )
    return _statements(stack, ("ALTER TABLE moving_averages DROP COLUMN last_price",), (column, values))


def disk_full(stack: Pipeline) -> AbstractContextManager[float]:
    """The server refuses each write of the pipeline with the error number of a full disk."""
    tables = ("heartbeats", "batch_ledger", "moving_averages")
    signal_full = "SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = 1021, MESSAGE_TEXT = 'Disk full (test)'"
    kinds = [(table, event) for table in tables for event in ("INSERT", "UPDATE")]
    create = (f"CREATE TRIGGER full_{t}_{e} BEFORE {e} ON {t} FOR EACH ROW {signal_full}" for t, e in kinds)
    drop = (f"DROP TRIGGER IF EXISTS full_{t}_{e}" for t, e in kinds)
    return _statements(stack, tuple(create), tuple(drop))


@contextmanager
def slow_writes(stack: Pipeline) -> Iterator[float]:
    """Each micro-batch takes four seconds longer to write: so few batches cannot carry what is traded."""
    assert stack.settings.max_offsets_per_trigger / 4 < stack.settings.generator_rate
    slow = "CREATE TRIGGER slow_ledger BEFORE INSERT ON batch_ledger FOR EACH ROW SET @slow = SLEEP(4)"
    with _statements(stack, (slow,), ("DROP TRIGGER IF EXISTS slow_ledger",)) as begin:
        yield begin


def restart_processor(stack: Pipeline) -> None:
    """Have it run again if an error that stays until somebody acts has ended it, as a person would."""
    supervised = Supervised(stack, PROCESSOR)
    supervised.forget_history()
    stack.controller.start(PROCESSOR, _START_SECONDS)
    supervised.serving()
