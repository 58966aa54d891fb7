"""Reviews and guardrails on each kind of incident store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.guarding import Guard
from tests.support.incident_stores import Backend
from tests.support.review_office import Office


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
