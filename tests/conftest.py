"""Fixtures shared by all tiers: one real broker and one real database per test session."""

from __future__ import annotations

import itertools
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from include.settings import Settings, load_settings
from include.stack.secrets import ensure_secrets
from tests.support.ports import free_ports
from tests.support.servers import KafkaServer, MySQLServer, fetch_artifacts

_NAMES = itertools.count(1)
_PORTS = (
    "exchange_port",
    "exchange_control_port",
    "producer_health_port",
    "kafka_port",
    "kafka_controller_port",
    "mysql_port",
    "processor_health_port",
    "airflow_port",
)


@pytest.fixture(scope="session")
def session_home() -> Iterator[Path]:
    """A short-named run-time folder for the session (unix sockets allow some 100 bytes)."""
    home = Path(tempfile.mkdtemp(prefix="pipeline-"))
    yield home
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="session")
def stack_settings(session_home: Path) -> Settings:
    """Settings with a temporary home, free ports and generated secrets; downloads are shared with ``make up``."""
    ports = dict(zip(_PORTS, free_ports(len(_PORTS)), strict=True))
    settings = load_settings(home=session_home, **ports)
    ensure_secrets(settings)
    return load_settings(home=session_home, **ports)


@pytest.fixture(scope="session")
def _kafka(stack_settings: Settings) -> Iterator[KafkaServer]:
    fetch_artifacts(stack_settings, "kafka")
    server = KafkaServer(stack_settings)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def _mysql(stack_settings: Settings) -> Iterator[MySQLServer]:
    fetch_artifacts(stack_settings, "mariadb")
    server = MySQLServer(stack_settings)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def kafka(_kafka: KafkaServer) -> KafkaServer:
    """The real broker, alive at the start of each test whatever the last one did to it."""
    _kafka.ensure_running()
    return _kafka


@pytest.fixture
def mysql(_mysql: MySQLServer) -> MySQLServer:
    """The real database, alive at the start of each test whatever the last one did to it."""
    _mysql.ensure_running()
    return _mysql


@pytest.fixture
def fresh_topic(kafka: KafkaServer) -> Callable[..., str]:
    """A new, empty topic: ``fresh_topic(partitions=3) -> name``."""

    def create(partitions: int = 3) -> str:
        name = f"test-{next(_NAMES)}"
        admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
        admin.create_topics([NewTopic(name, partitions)])[name].result(10)
        return name

    return create


@pytest.fixture
def fresh_database(mysql: MySQLServer, stack_settings: Settings) -> Settings:
    """The session's settings with a new, empty database."""
    name = f"test_{next(_NAMES)}"
    mysql.create_database(name)
    return stack_settings.model_copy(update={"mysql_database": name})
