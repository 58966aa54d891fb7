"""When a part of the stack counts as up: by a real request, answered."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from typing import TypeVar

import requests

from include.settings import Settings
from include.stack import airflow
from include.stack.errors import StartError

T = TypeVar("T")

_POLL_SECONDS = 0.2


def wait_until(condition: Callable[[], T | None], timeout: float, failure: Callable[[], str]) -> T:
    """The first true answer of ``condition`` (an exception is "not yet").

    Raises :class:`StartError` with ``failure()`` and the last reason after ``timeout`` seconds.
    """
    deadline = time.monotonic() + timeout
    reason = ""
    while time.monotonic() < deadline:
        try:
            if answer := condition():
                return answer
        except Exception as error:  # whatever keeps it from answering, it is not up yet
            reason = f" Last answer: {error}"
        time.sleep(_POLL_SECONDS)
    raise StartError(f"Not within {timeout:g} s: {failure()}{reason[:500]}")


def kafka_answers(settings: Settings) -> bool:
    """The broker gives its metadata."""
    from confluent_kafka.admin import AdminClient

    admin = AdminClient({"bootstrap.servers": settings.bootstrap_servers, "log_level": 0})
    return bool(admin.list_topics(timeout=2).brokers)


def mysql_answers(settings: Settings) -> bool:
    """The pipeline's own account runs a query."""
    from include.warehouse.engine import driver_connection

    with closing(driver_connection(settings, connection_timeout=2)) as connection:
        cursor = connection.cursor()
        cursor.execute("SELECT 1")
        return cursor.fetchone() is not None


def exchange_answers(settings: Settings) -> bool:
    """The exchange answers a ping."""
    return requests.get(f"{settings.rest_endpoints[0]}/api/v3/ping", timeout=2).ok


def airflow_health(settings: Settings) -> dict[str, str]:
    """Status of each Airflow component as the API server knows it."""
    answer = requests.get(f"{airflow.url(settings)}/api/v2/monitor/health", timeout=2)
    answer.raise_for_status()
    return {name: str(part["status"]) for name, part in answer.json().items() if part}


def airflow_is_healthy(settings: Settings) -> bool:
    """All four components are healthy."""
    states = airflow_health(settings)
    return all(states.get(n) == "healthy" for n in ("metadatabase", "scheduler", "triggerer", "dag_processor"))
