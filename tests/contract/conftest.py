"""Servers and stores that only contract tests need."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from include.incidents.migrate import migrate
from tests.support.guarding import Guard
from tests.support.incident_stores import Backend, memory, postgresql, sqlite
from tests.support.postgres import PostgresServer
from tests.support.review_office import Office


@pytest.fixture(scope="session")
def _postgres() -> Iterator[PostgresServer]:
    server = PostgresServer()
    try:
        server.start()
        yield server
    finally:
        server.remove()


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


@pytest.fixture
def office(database: Backend, tmp_path: Path) -> Iterator[Office]:
    """Reviews on each kind of incident store that has a database; no incident yet."""
    made = Office(database, tmp_path / "home")
    yield made
    made.reviews.close()


@pytest.fixture
def guard(backend: Backend) -> Iterator[Guard]:
    """Guardrails on each kind of incident store, with one open incident."""
    yield from _closing_guard(Guard(backend))


@pytest.fixture
def database_guard(database: Backend) -> Iterator[Guard]:
    """The same on those that have a database."""
    yield from _closing_guard(Guard(database))


def _closing_guard(guard: Guard) -> Iterator[Guard]:
    yield guard
    guard.close()


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
