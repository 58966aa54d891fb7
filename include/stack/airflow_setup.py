"""Airflow's first start: metadata database, logins, connections; done again only when they change."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import subprocess
import sys

from include.settings import PROJECT_ROOT, Settings
from include.stack import airflow
from include.stack.errors import StartError
from include.stack.secrets import write_secret


def prepare_airflow(settings: Settings) -> bool:
    """Migrate the metadata database and import the connections, if need be. Returns whether anything was done.

    Raises :class:`StartError` with Airflow's own words.
    """
    airflow.home(settings).mkdir(parents=True, exist_ok=True, mode=0o700)
    airflow.write_passwords(settings)
    connections = json.dumps(airflow.connections(settings), sort_keys=True)
    version = importlib.metadata.version("apache-airflow")
    stamp = airflow.home(settings) / "prepared"
    state = hashlib.sha256(f"{version} {connections}".encode()).hexdigest()
    if stamp.is_file() and stamp.read_text() == state and _database_is_there(settings):
        return False
    _airflow(settings, "db", "migrate")
    _import_connections(settings, connections)
    stamp.write_text(state)
    return True


def _database_is_there(settings: Settings) -> bool:
    """A server's database outlives our folder or not, so it is migrated at each start; that is quick when current."""
    return not settings.airflow_database_url and (airflow.home(settings) / "airflow.db").is_file()


def _import_connections(settings: Settings, connections: str) -> None:
    path = airflow.home(settings) / "connections.json"  # has a password: owner only, and only while it is read
    write_secret(path, connections)
    try:
        _airflow(settings, "connections", "import", "--overwrite", str(path))
    finally:
        path.unlink()


def _airflow(settings: Settings, *arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "airflow", *arguments],
        env={**os.environ, **airflow.environment(settings)},
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    if done.returncode != 0:
        raise StartError(f"airflow {' '.join(arguments[:2])} failed:\n{(done.stdout + done.stderr)[-2000:]}")
