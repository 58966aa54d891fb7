"""The real broker and database, started through the product's own launcher, with the faults that tests inject."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import mysql.connector
from confluent_kafka.admin import AdminClient

from include.settings import PROJECT_ROOT, Settings
from include.stack import mariadb
from include.stack.running import environment
from include.stack.secrets import read_secret
from tests.support.waiting import wait_for


class Server:
    """One real server process that can be killed, hung and brought back."""

    name = ""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.log = settings.log_dir / f"{self.name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Pid of the server itself."""
        assert self._process is not None
        return self._process.pid

    def start(self, timeout: float = 60) -> None:
        """Start and wait until it answers."""
        self.settings.log_dir.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.command(),
                env=environment(self.settings),
                stdout=log,
                stderr=log,
                cwd=PROJECT_ROOT,
                start_new_session=True,
            )
        wait_for(self.answers, timeout, f"{self.name} answers; see {self.log}")

    def command(self) -> list[str]:
        """What is started: the product's own launcher."""
        return [sys.executable, "-m", "include.stack.launch", self.name]

    def answers(self) -> bool:
        """A real request, answered."""
        raise NotImplementedError

    def kill(self) -> None:
        """SIGKILL; returns when it is gone."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(10)

    def suspend(self) -> None:
        """SIGSTOP: hung, but still accepting TCP connections."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        os.kill(self.pid, signal.SIGCONT)

    def stop(self) -> None:
        """Graceful end."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGCONT)
            self._process.terminate()
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self.kill()

    def ensure_running(self) -> None:
        """Bring it back if a test left it dead or hung."""
        if self._process is None or self._process.poll() is not None:
            self.start()
        else:
            self.resume()
            wait_for(self.answers, 30, f"{self.name} answers")


class KafkaServer(Server):
    """A real broker."""

    name = "kafka"

    @property
    def bootstrap(self) -> str:
        """``host:port``."""
        return self.settings.bootstrap_servers

    def answers(self) -> bool:
        """See :class:`Server`."""
        admin = AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0})
        return bool(admin.list_topics(timeout=2).brokers)


class MySQLServer(Server):
    """A real MariaDB."""

    name = "mysql"

    @property
    def socket(self) -> Path:
        """Where the administrator connects."""
        return mariadb.socket_path(self.settings)

    def connect(self, database: str | None = None) -> mysql.connector.MySQLConnection:
        """A connection of the administrator."""
        return mysql.connector.connect(
            unix_socket=str(self.socket),
            user="root",
            password=read_secret(self.settings, "mysql_root_password"),
            database=database,
            connection_timeout=3,
            autocommit=True,
        )

    def answers(self) -> bool:
        """See :class:`Server`."""
        with closing(self.connect()) as connection:
            cursor = connection.cursor()
            cursor.execute("SELECT 1")
            return cursor.fetchone() == (1,)

    def create_database(self, name: str) -> None:
        """An empty database that the pipeline's account may use."""
        with closing(self.connect()) as connection:
            cursor = connection.cursor()
            cursor.execute(f"CREATE DATABASE `{name}` CHARACTER SET utf8mb4")
            for host in ("127.0.0.1", "localhost"):
                cursor.execute(f"GRANT ALL PRIVILEGES ON `{name}`.* TO '{self.settings.mysql_user}'@'{host}'")


def fetch_artifacts(settings: Settings, *groups: str) -> None:
    """Make sure the jars are in the shared cache."""
    from include.stack.artifacts import fetch
    from include.stack.java import find_java

    java = find_java(settings.cache)
    for group in groups:
        fetch(settings, java, group, print)
