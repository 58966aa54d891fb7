"""``python -m include.stack.setup``: make everything current before the processes start, once and again.

For where somebody else starts the processes (containers, units): their databases, topics, tables and logins are made
or brought up to date. What is current is left as it is, so it may run beside a running pipeline.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys

from confluent_kafka import KafkaException
from sqlalchemy.exc import SQLAlchemyError

from include.broker.topics import ensure_topics, expected_topics
from include.incidents.errors import IncidentStoreError
from include.incidents.factory import store_from_settings
from include.services.errors import ServicesError
from include.settings import Settings, load_settings
from include.settings_errors import SettingsError
from include.stack import airflow_setup, readiness
from include.stack.console import console, step
from include.stack.errors import StackError
from include.stack.running import check_feed, claim_feed
from include.stack.secrets import check_secrets
from include.warehouse.errors import WarehouseError
from include.warehouse.migrations import migrate

_SERVER_SECONDS = 120.0


def set_up(settings: Settings) -> None:
    """Do it, step by step.

    Raises :class:`StackError` and its kinds, and the errors of the rooms that it uses, each with what to do.
    """
    with step("Secrets are there, and the data is of this feed"):
        check_secrets(settings)
        check_feed(settings)
    with step("MySQL and Kafka answer"):
        _await_servers(settings)
    with step("Tables of the pipeline are current"):
        migrate(settings)
    with step("Topics exist"):
        ensure_topics(settings.bootstrap_servers, expected_topics(settings))
    with step("Incident store is current"), contextlib.closing(store_from_settings(settings)) as store:
        store.open_incidents()  # the first use makes or changes its tables
    with step("Airflow's database, logins and connections are current"):
        airflow_setup.prepare_airflow(settings)
    with step(f"Services may be controlled ({settings.service_adapter.value})"):
        _check_rights(settings)
    claim_feed(settings)


def _await_servers(settings: Settings) -> None:
    mysql = f"MySQL at {settings.mysql_host}:{settings.mysql_port} as {settings.mysql_user} does not answer."
    readiness.wait_until(lambda: readiness.mysql_answers(settings), _SERVER_SECONDS, lambda: mysql)
    kafka = f"Kafka at {settings.bootstrap_servers} does not answer."
    readiness.wait_until(lambda: readiness.kafka_answers(settings), _SERVER_SECONDS, lambda: kafka)


def _check_rights(settings: Settings) -> None:
    from include.services.factory import check_rights

    check_rights(settings)


def main(arguments: list[str]) -> int:
    """Set up and return the exit code: 0 everything is current, 2 it is not, and what is said tells why."""
    if arguments:
        sys.stderr.write("usage: python -m include.stack.setup   (configured by the settings, docs/configuration.md)\n")
        return 2
    try:
        set_up(load_settings())
    except (SettingsError, StackError, ServicesError, WarehouseError, IncidentStoreError) as error:
        return _failed(str(error))
    except (OSError, subprocess.TimeoutExpired, KafkaException, SQLAlchemyError) as error:
        return _failed(f"{type(error).__name__}: {error}")
    console.print("Everything is current.")
    return 0


def _failed(text: str) -> int:
    console.print(f"✗ {text}", style="red", markup=False, soft_wrap=True)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
