"""Fixtures shared by all tiers: one real broker and one real database per test session."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from hypothesis import settings as hypothesis_settings

from include.settings import ENV_FILE_VARIABLE, PREFIX, Settings
from include.stack.isolation import isolated_settings
from tests.support.genuine_mysql import GenuineMySQLServer, NoGenuineMySQLError
from tests.support.pipeline import Pipeline
from tests.support.servers import KafkaServer, MySQLServer, fetch_artifacts

_NAMES = itertools.count(1)
# how long one example takes says more of what else runs on the machine
hypothesis_settings.register_profile("no hurry", deadline=None)
hypothesis_settings.load_profile("no hurry")
_KEPT = {"PIPELINE_CACHE", "PIPELINE_IVY_SETTINGS"}  # where downloads lie and come from


def pytest_configure() -> None:
    """Tests do not obey the settings of the person who runs them."""
    for name in [name for name in os.environ if name.startswith(PREFIX) and name not in _KEPT]:
        del os.environ[name]
    os.environ[ENV_FILE_VARIABLE] = os.devnull


@pytest.fixture
def tmp_path(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As pytest's own, with a shorter name: a home is laid in it, and the path of its socket has room for 96 bytes."""
    return tmp_path_factory.mktemp(re.sub(r"\W", "_", request.node.name)[:15])


@pytest.fixture(scope="session")
def stack_settings() -> Iterator[Settings]:
    """Settings with a temporary home, free ports and generated secrets; downloads are shared with ``make up``."""
    with isolated_settings() as settings:
        yield settings


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


@pytest.fixture(scope="session")
def _genuine_mysql(stack_settings: Settings) -> Iterator[MySQLServer]:
    server = GenuineMySQLServer.beside(stack_settings)
    try:
        server.start()
    except NoGenuineMySQLError as error:
        pytest.skip(str(error))
    yield server
    server.stop()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """What is marked ``both_databases`` runs on the embedded MariaDB and on MySQL's own server."""
    if metafunc.definition.get_closest_marker("both_databases") and "mysql" in metafunc.fixturenames:
        metafunc.parametrize("mysql", ["_mysql", "_genuine_mysql"], ids=["mariadb", "mysql"], indirect=True)


@pytest.fixture
def mysql(request: pytest.FixtureRequest) -> MySQLServer:
    """The real database, alive at the start of each test whatever the last one did to it."""
    server: MySQLServer = request.getfixturevalue(getattr(request, "param", "_mysql"))
    server.ensure_running()
    return server


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
def fresh_database(mysql: MySQLServer) -> Settings:
    """The server's settings with a new, empty database."""
    name = f"test_{next(_NAMES)}"
    mysql.create_database(name)
    return mysql.settings.model_copy(update={"mysql_database": name})


@pytest.fixture(scope="session")
def pipeline() -> Iterator[Pipeline]:
    """The whole stack as ``make up`` brings it up, Airflow included, with rows arriving; taken down at the end.

    Micro-batches are small, so that slow ones fall behind; health runs are short, so that tests see them end; each
    fault gets an incident of its own, however soon after the last one.
    """
    special = {
        "max_offsets_per_trigger": 200,
        "generator_rate": 60,
        "health_window_seconds": 120,
        "incident_reopen_minutes": 0.05,
    }
    with isolated_settings(**special) as settings, Pipeline.running(settings) as running:
        yield running
