"""The whole stack with Airflow's metadata and the incidents on one PostgreSQL, and each account on its own password."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from urllib.parse import quote

import psutil
import psycopg
import pytest
from pydantic import SecretStr

from include.incidents.factory import store_from_settings
from include.incidents.model import EntryKind, Incident, IncidentState
from include.incidents.store import IncidentStore
from include.playbook.names import Component, ScenarioId
from include.settings import Settings
from include.stack.isolation import isolated_settings
from include.stack.secrets import secret_path, write_secret
from tests.support import live_faults
from tests.support.live_calm import RESOLVE_SECONDS, calm
from tests.support.pipeline import Pipeline
from tests.support.postgres import PostgresServer

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

AIRFLOW, INCIDENTS = "airflow", "incidents"
COMPONENTS = {"metadatabase", "scheduler", "triggerer", "dag_processor"}


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """PostgreSQL with an account and a database for each of the two."""
    with PostgresServer.running() as server:
        yield server


@pytest.fixture(scope="module")
def stack(server: PostgresServer) -> Iterator[Pipeline]:
    """The running stack; the passwords are in its secret files only."""
    urls, passwords = {}, {}
    for account, setting in ((AIRFLOW, "airflow_database"), (INCIDENTS, "incident_store")):
        urls[f"{setting}_url"], passwords[f"{setting}_password"] = server.account(account)
    with isolated_settings(**urls, generator_rate=60, health_window_seconds=120) as bare:
        for name, password in passwords.items():
            write_secret(secret_path(bare, name), password)
        settings = bare.model_copy(update={name: SecretStr(password) for name, password in passwords.items()})
        with Pipeline.running(settings) as running:
            yield running


@pytest.fixture(scope="module")
def store(stack: Pipeline) -> Iterator[IncidentStore]:
    with closing(store_from_settings(stack.settings)) as opened:
        yield opened


@pytest.fixture(scope="module")
def incident(stack: Pipeline, store: IncidentStore) -> Incident:
    """The broker was killed, and what came of it is over."""
    calm(stack, store)
    with live_faults.kafka_killed(stack):
        first = stack.wait_for(lambda: _of_kafka(store), 30, "the incident is opened")
        stack.wait_for(lambda: _is_over(store, first), RESOLVE_SECONDS, f"{first.id} is resolved")
    return store.incident(first.id)


def _of_kafka(store: IncidentStore) -> Incident | None:
    return next((incident for incident in store.open_incidents() if incident.target is Component.KAFKA), None)


def _is_over(store: IncidentStore, incident: Incident) -> bool:
    return store.incident(incident.id).state in (IncidentState.RESOLVED, IncidentState.CLOSED)


def test_all_components_of_airflow_are_healthy(stack: Pipeline) -> None:
    def unhealthy() -> set[str]:
        health = stack.airflow.get("/monitor/health")
        return {name for name in COMPONENTS if health[name]["status"] != "healthy"}

    stack.wait_for(lambda: not unhealthy(), 60, "all components are healthy")


def test_a_killed_broker_is_an_incident_in_postgresql_mended_by_its_dag(
    stack: Pipeline, server: PostgresServer, store: IncidentStore, incident: Incident
) -> None:
    story = "\n".join(f"{entry.kind} {entry.text}" for entry in store.timeline(incident.id))
    assert (incident.scenario, incident.target) == (ScenarioId.KAFKA_DOWN, Component.KAFKA), story
    assert store.verify(incident.id) == ()
    kinds = [entry.kind for entry in store.timeline(incident.id)]
    assert kinds.index(EntryKind.OPENED) < kinds.index(EntryKind.HANDED_OVER) < kinds.index(EntryKind.ACTION_STARTED)
    dag_id, _, run_id = store.hand_overs(incident.id, earlier=True)[0].remediation.partition("/")
    path = f"/dags/{dag_id}/dagRuns/{quote(run_id, safe='')}"
    stack.wait_for(lambda: stack.airflow.get(path)["state"] == "success", 120, f"{run_id} ends well")
    with server.connect(INCIDENTS) as connection:
        assert connection.execute("SELECT state FROM incidents WHERE id = %s", (incident.id,)).fetchone()
    with server.connect(AIRFLOW) as connection:
        found = connection.execute("SELECT state FROM dag_run WHERE run_id = %s", (run_id,)).fetchone()
    assert found == ("success",)


def test_both_log_in_by_password_and_neither_with_that_of_the_other(stack: Pipeline, server: PostgresServer) -> None:
    with server.connect("postgres") as connection:
        users = {row[0] for row in connection.execute("SELECT DISTINCT usename FROM pg_stat_activity")}
    assert users >= {AIRFLOW, INCIDENTS}
    own = stack.settings.airflow_database_password.get_secret_value()
    for account, password in ((INCIDENTS, own), (AIRFLOW, "")):
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(host="127.0.0.1", port=server.port, user=account, password=password, dbname=account)


@pytest.mark.usefixtures("incident")
def test_neither_has_made_a_file_of_sqlite(stack: Pipeline) -> None:
    files = [path for path in stack.settings.home.rglob("*") if path.is_file() and not path.is_symlink()]
    found = []
    for path in files:
        with path.open("rb") as file:
            if file.read(16) == b"SQLite format 3\0":
                found.append(path)
    assert files
    assert found == []


@pytest.mark.usefixtures("incident")
def test_no_password_is_on_a_command_line_or_in_a_file_but_its_own(stack: Pipeline, server: PostgresServer) -> None:
    settings = stack.settings
    passwords = _passwords(settings)
    lines = [line for process in psutil.process_iter(["cmdline"]) for line in process.info["cmdline"] or ()]
    assert not [line for line in lines for password in passwords if password in line]
    assert any(str(settings.home) in line for line in lines)  # those of the stack are among them
    data = {settings.data_dir, settings.secrets_dir}
    files = [
        path
        for path in (*settings.home.rglob("*"), server.log)
        if path.is_file() and not data.intersection(path.parents) and not path.is_symlink()
    ]
    assert {settings.log_dir / "airflow-triggerer.log", server.log} <= set(files)
    contents = {path: path.read_bytes() for path in files}
    assert not [path for path, text in contents.items() for password in passwords if password.encode() in text]


def _passwords(settings: Settings) -> list[str]:
    found = [settings.airflow_database_password, settings.incident_store_password]
    return [each.get_secret_value() for each in found]
