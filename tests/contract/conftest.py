"""Servers that only contract tests need."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.incident_stores import Backend, memory, postgresql, sqlite
from tests.support.postgres import PostgresServer


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


_DATABASES = ["sqlite", pytest.param("postgresql", marks=pytest.mark.integration)]


@pytest.fixture(params=["memory", *_DATABASES])
def backend(request: pytest.FixtureRequest) -> Iterator[Backend]:
    """Each kind of incident store, empty."""
    yield from _backend(request)


@pytest.fixture(params=_DATABASES)
def database(request: pytest.FixtureRequest) -> Iterator[Backend]:
    """Each kind of incident store that has a database, empty."""
    yield from _backend(request)


def _backend(request: pytest.FixtureRequest) -> Iterator[Backend]:
    if request.param == "memory":
        backend = memory()
    elif request.param == "sqlite":
        backend = sqlite(request.getfixturevalue("tmp_path"))
    else:
        backend = postgresql(request.getfixturevalue("postgres"))
    yield backend
    backend.close()
