"""How Airflow runs locally: its four components as processes of their own, bound to loopback (ADR 0001).

Secrets reach Airflow by environment variables set just before its process starts, never by a file others may read.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from sqlalchemy import URL, make_url

from include.settings import LOOPBACK, PROJECT_ROOT, Settings
from include.stack.secrets import read_secret, write_secret

COMPONENTS = ("api-server", "scheduler", "dag-processor", "triggerer")
SUPERVISION_USER = "supervision"  # the triggers' read-only account

# -s: without it the log servers listen on all interfaces
_ARGUMENTS = {"api-server": [], "scheduler": ["-s"], "dag-processor": [], "triggerer": ["-s"]}


def home(settings: Settings) -> Path:
    """``AIRFLOW_HOME``."""
    return settings.home / "airflow"


def url(settings: Settings) -> str:
    """Address of the API for the other processes."""
    return f"http://{settings.airflow_host}:{settings.airflow_port}"


def public_url(settings: Settings) -> str:
    """Address of the UI for people on this machine."""
    return f"http://{LOOPBACK}:{settings.airflow_port}"


def database_url(settings: Settings) -> URL:
    """Metadata database. Its text hides the password."""
    if not settings.airflow_database_url:
        return URL.create("sqlite", database=f"{home(settings)}/airflow.db")
    url = make_url(settings.airflow_database_url).set(drivername="postgresql+psycopg")
    password = settings.airflow_database_password.get_secret_value()
    return url.set(password=password) if password else url


def passwords_file(settings: Settings) -> Path:
    """The login file of Airflow's simple auth manager. In Airflow's home: the secrets' folder may be read-only."""
    return home(settings) / "passwords.json"


def command(component: str) -> list[str]:
    """Command line of one component."""
    return [sys.executable, "-m", "airflow", component, *_ARGUMENTS[component]]


def environment(settings: Settings) -> dict[str, str]:
    """Variables common to all components (the same keys for all, or they refuse each other's tokens)."""
    users = {settings.airflow_admin_user: "admin", settings.airflow_oncall_user: "op", SUPERVISION_USER: "viewer"}
    options = {
        ("core", "dags_folder"): PROJECT_ROOT / "dags",
        ("core", "plugins_folder"): PROJECT_ROOT / "plugins",
        ("core", "load_examples"): False,
        ("core", "parallelism"): settings.airflow_parallelism,
        ("core", "dags_are_paused_at_creation"): False,
        ("core", "min_serialized_dag_update_interval"): 2,
        ("core", "execution_api_server_url"): f"{url(settings)}/execution/",
        ("core", "fernet_key"): read_secret(settings, "airflow_fernet_key"),
        ("core", "simple_auth_manager_users"): ",".join(f"{name}:{role}" for name, role in users.items()),
        ("core", "simple_auth_manager_passwords_file"): passwords_file(settings),
        ("database", "sql_alchemy_conn"): database_url(settings).render_as_string(hide_password=False),
        ("api", "host"): settings.listen_host,  # the default is all interfaces
        ("api", "port"): settings.airflow_port,
        ("api", "base_url"): public_url(settings),
        ("api", "secret_key"): read_secret(settings, "airflow_secret_key"),
        ("api", "workers"): 1,
        ("api_auth", "jwt_secret"): read_secret(settings, "airflow_jwt_secret"),
        ("dag_processor", "refresh_interval"): 5,  # the default shows a new Dag file only after five minutes
        ("dag_processor", "min_file_process_interval"): 30,
        ("workers", "max_failed_heartbeats"): 60,  # the default kills tasks after 38 s without the API server
        ("triggerer", "job_heartbeat_sec"): 2,
        ("triggerer", "triggerer_health_check_threshold"): 8,  # a dead triggerer's triggers move after 8 s, not 30 s
        ("logging", "base_log_folder"): home(settings) / "logs",
        ("usage_data_collection", "enabled"): False,
    }
    if settings.airflow_database_url:  # the driver that is installed speaks both ways; Airflow would guess another
        options["database", "sql_alchemy_conn_async"] = options["database", "sql_alchemy_conn"]
    variables = {f"AIRFLOW__{section.upper()}__{key.upper()}": str(value) for (section, key), value in options.items()}
    path = os.pathsep.join(filter(None, [str(PROJECT_ROOT), os.environ.get("PYTHONPATH", "")]))
    return {
        **variables,
        "AIRFLOW_HOME": str(home(settings)),
        "PYTHONPATH": path,
        "PYTHONWARNINGS": "ignore",  # deprecation notices of Airflow's own dependencies on every start
        "SPT_NOENV": "1",  # workers that rename themselves keep the mark that leftovers are found by
    }


def write_passwords(settings: Settings) -> None:
    """The login file of Airflow's simple auth manager."""
    path = passwords_file(settings)
    passwords = {
        settings.airflow_admin_user: read_secret(settings, "airflow_admin_password"),
        settings.airflow_oncall_user: read_secret(settings, "airflow_oncall_password"),
        SUPERVISION_USER: read_secret(settings, "airflow_supervision_password"),
    }
    if not path.is_file() or path.read_text() != json.dumps(passwords):
        write_secret(path, json.dumps(passwords))


def connections(settings: Settings) -> dict[str, dict[str, object]]:
    """The connections that Dag code reaches Kafka and MySQL with, in Airflow's import format."""
    return {
        "pipeline_kafka": {
            "conn_type": "kafka",
            "description": "The pipeline's Kafka brokers",
            "extra": json.dumps({"bootstrap.servers": settings.bootstrap_servers, "socket.timeout.ms": 5000}),
        },
        "pipeline_mysql": {
            "conn_type": "mysql",
            "description": "The pipeline's MySQL database",
            "host": settings.mysql_host,
            "port": settings.mysql_port,
            "login": settings.mysql_user,
            "password": read_secret(settings, "mysql_password"),
            "schema": settings.mysql_database,
            "extra": json.dumps({"client": "mysql-connector-python"}),
        },
    }
