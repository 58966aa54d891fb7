"""Oracle's own MySQL server beside the embedded MariaDB: Debian's packages, unpacked and never installed.

A process host starts it by ``python -m tests.support.genuine_mysql``, in place of the product's launcher.

Debian's stable releases have none; its unstable one has, and brings a C library of its own that is newer than the
machine's. So the server is run by the loader that came with it.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from include.services.names import MYSQL
from include.settings import Settings, load_settings
from include.stack.leftovers import MARK_HOME, MARK_PROCESS
from include.stack.mariadb import data_dir, quoted
from include.stack.ports import free_ports
from include.stack.secrets import read_secret
from tests.support.debian import KEYRING, acquire_settings, run, this_machine
from tests.support.servers import MySQLServer

_PACKAGE, _SUITE = "mysql-server-core", "sid"
_NOT_NEEDED = ("perl", "libperl")  # for its scripts only


@dataclass(frozen=True)
class Installation:
    """The unpacked packages."""

    folder: Path

    def command(self, data: Path) -> list[str]:
        """The server on the data in ``data``; to be followed by further options."""
        usr = self.folder / "usr"
        loader, libraries = _only(self.folder, "usr/lib*/ld-linux*.so.*"), _only(self.folder, "usr/lib/*-linux-gnu")
        user = ["--user=root"] if os.geteuid() == 0 else []  # as root the server insists on being told so
        return [
            *(str(loader), "--library-path", str(libraries), str(usr / "sbin" / "mysqld"), "--no-defaults", *user),
            *(f"--basedir={usr}", f"--datadir={data}", f"--lc-messages-dir={usr / 'share' / 'mysql'}"),
            *(f"--plugin-dir={usr / 'lib' / 'mysql' / 'plugin'}", "--secure-file-priv="),
            f"--character-sets-dir={usr / 'share' / 'mysql' / 'charsets'}",
        ]


def fetch(settings: Settings) -> Installation:
    """The server from the shared cache, downloaded the first time. Raises :class:`NotToBeHadError`."""
    target = settings.cache / "mysql"
    if not (target / "usr" / "sbin" / "mysqld").is_file():
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="mysql.", dir=target.parent) as folder:
            fresh = Path(folder) / "unpacked"
            for package in _download(Path(folder) / "apt"):
                if not package.name.startswith(_NOT_NEEDED):
                    run(["dpkg-deb", "--extract", str(package), str(fresh)])
            shutil.rmtree(target, ignore_errors=True)
            fresh.rename(target)
    return Installation(target)


def _download(folder: Path) -> list[Path]:
    """The package and all that it needs, by an ``apt`` that knows nothing of what is installed here."""
    debian = this_machine()
    for part in ("etc/apt.conf.d", "etc/preferences.d", "lists/partial", "cache/archives/partial", "state"):
        (folder / part).mkdir(parents=True)
    (folder / "status").touch()
    (folder / "etc" / "sources.list").write_text(f"deb [signed-by={KEYRING}] {debian.mirror} {_SUITE} main\n")
    own = {
        "Dir": "",
        "Dir::State": "state",
        "Dir::State::lists": "lists",
        "Dir::State::status": "status",
        "Dir::Cache": "cache",
        "Dir::Etc": "etc",
        "Dir::Etc::sourcelist": "etc/sources.list",
    }
    lines = [f'{name} "{folder / place}";' for name, place in own.items()]
    lines += [acquire_settings(), 'APT::Sandbox::User "root";', "Acquire::Languages none;"]
    configuration = folder / "apt.conf"
    configuration.write_text("\n".join(lines) + "\n")
    environment = {**os.environ, "APT_CONFIG": str(configuration), "DEBIAN_FRONTEND": "noninteractive"}
    run(["apt-get", "-q", "update"], environment)
    run(
        ["apt-get", "-q", "install", "--yes", "--download-only", "--no-install-recommends", _PACKAGE],
        environment,
    )
    return sorted((folder / "cache" / "archives").glob("*.deb"))


def _only(folder: Path, pattern: str) -> Path:
    (found,) = folder.glob(pattern)
    return found


class GenuineMySQLServer(MySQLServer):
    """MySQL where the product's own launcher would start MariaDB, with the same accounts. ``options``: the server's."""

    def __init__(self, settings: Settings, *options: str) -> None:
        super().__init__(settings)
        self._options = options

    @classmethod
    def beside(cls, settings: Settings) -> GenuineMySQLServer:
        """One with a home and a port of its own, and the same secrets."""
        (port,) = free_ports(1)
        own = {"home": settings.home / "genuine", "secrets_folder": settings.secrets_dir, "mysql_port": port}
        return cls(settings.model_copy(update=own))

    def start(self, timeout: float = 60) -> None:
        """See :class:`Server`. The data and the accounts are made at the first start."""
        self.prepare()
        super().start(timeout)
        self._accounts.unlink(missing_ok=True)

    def prepare(self) -> None:
        """Make the data, if there are none, and lay out the accounts for the first start."""
        data = data_dir(self.settings)
        if data.is_dir():
            self._accounts.unlink(missing_ok=True)
            return
        for folder in (data.parent, self.socket.parent):
            folder.mkdir(parents=True, exist_ok=True)
        run([*fetch(self.settings).command(data), "--initialize-insecure"])
        self._accounts.touch(mode=0o600)
        self._accounts.write_text("\n".join(_account_statements(self.settings)) + "\n")

    @property
    def _accounts(self) -> Path:
        return self.settings.run_dir / "mysql-accounts.sql"

    def command(self) -> list[str]:
        """See :class:`Server`."""
        accounts = [f"--init-file={self._accounts}"] if self._accounts.exists() else []
        return [
            *fetch(self.settings).command(data_dir(self.settings)),
            *(f"--socket={self.socket}", f"--port={self.settings.mysql_port}", "--bind-address=127.0.0.1"),
            *(f"--pid-file={self.socket.with_suffix('.pid')}", "--mysqlx=OFF", "--skip-name-resolve"),
            *("--local-infile=1", "--innodb-buffer-pool-size=128M", *accounts, *self._options),
        ]


def _account_statements(settings: Settings) -> list[str]:
    """One statement a line, as the server reads them."""
    user, database = settings.mysql_user, settings.mysql_database
    root, own = (quoted(read_secret(settings, name)) for name in ("mysql_root_password", "mysql_password"))
    hosts = ("127.0.0.1", "localhost")
    return [
        f"ALTER USER 'root'@'localhost' IDENTIFIED BY {root};",
        f"CREATE DATABASE `{database}` CHARACTER SET utf8mb4;",
        *(f"CREATE USER '{user}'@'{host}' IDENTIFIED BY {own};" for host in hosts),
        *(f"GRANT ALL PRIVILEGES ON `{database}`.* TO '{user}'@'{host}';" for host in hosts),
    ]


def launch() -> NoReturn:
    """Become the server of the home that the environment names, as the product's launcher does."""
    settings = load_settings()
    server = GenuineMySQLServer(settings)
    server.prepare()
    command = server.command()
    marks = {MARK_HOME: str(settings.home), MARK_PROCESS: MYSQL}
    os.execve(command[0], command, {**os.environ, **marks})  # noqa: S606 - no shell: this is the point


if __name__ == "__main__":
    launch()
