"""Fixtures shared by all tiers: one real server of each kind per test session, begun when first needed."""

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

from include.incidents.migrate import migrate
from include.settings import ENV_FILE_VARIABLE, PREFIX, Settings
from include.stack.isolation import isolated_settings
from tests.support.debian import NotToBeHadError
from tests.support.genuine_mysql import GenuineMySQLServer
from tests.support.incident_stores import Backend, memory, postgresql, sqlite
from tests.support.pipeline import Pipeline
from tests.support.postgres import PostgresServer
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
    except NotToBeHadError as error:
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


@pytest.fixture(scope="session")
def _postgres() -> Iterator[PostgresServer]:
    with PostgresServer.running() as server:
        yield server


@pytest.fixture
def postgres(_postgres: PostgresServer) -> PostgresServer:
    """A real PostgreSQL, alive at the start of each test."""
    _postgres.ensure_running()
    return _postgres


@pytest.fixture(scope="session")
def sqlite_tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with the store's tables, to be copied: making them takes longer than most tests."""
    path = tmp_path_factory.mktemp("tables") / "incidents.db"
    migrate(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def postgres_tables(_postgres: PostgresServer) -> str:
    """Name of a database with the store's tables, to be copied."""
    url = _postgres.fresh_database()
    migrate(url)
    return url.rsplit("/", 1)[-1]


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


_DATABASES = ["sqlite", pytest.param("postgresql", marks=pytest.mark.integration)]


@pytest.fixture(params=["memory", *_DATABASES])
def backend(request: pytest.FixtureRequest) -> Iterator[Backend]:
    """Each kind of incident store, empty."""
    yield from _closing(_MAKERS[request.param](request))


@pytest.fixture(params=_DATABASES)
def database(request: pytest.FixtureRequest) -> Iterator[Backend]:
    """Each kind of incident store that has a database, empty."""
    yield from _closing(_MAKERS[request.param](request))


@pytest.fixture(params=_DATABASES)
def bare_database(request: pytest.FixtureRequest) -> Iterator[Backend]:
    """The same without any tables yet."""
    if request.param == "sqlite":
        yield from _closing(sqlite(request.getfixturevalue("tmp_path")))
    else:
        yield from _closing(postgresql(request.getfixturevalue("postgres")))


def _sqlite(request: pytest.FixtureRequest) -> Backend:
    return sqlite(request.getfixturevalue("tmp_path"), request.getfixturevalue("sqlite_tables"))


def _postgresql(request: pytest.FixtureRequest) -> Backend:
    return postgresql(request.getfixturevalue("postgres"), request.getfixturevalue("postgres_tables"))


_MAKERS: dict[str, Callable[[pytest.FixtureRequest], Backend]] = {
    "memory": lambda _: memory(),
    "sqlite": _sqlite,
    "postgresql": _postgresql,
}


def _closing(backend: Backend) -> Iterator[Backend]:
    yield backend
    backend.close()
