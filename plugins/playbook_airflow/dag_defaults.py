"""What all Dags have in common."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pendulum


def dag_defaults(retry_seconds: float = 5.0) -> dict[str, Any]:
    """Arguments of ``@dag``: whose they are, that nothing is caught up, and how a task is tried again."""
    return {
        "start_date": pendulum.datetime(2026, 1, 1, tz="UTC"),
        "catchup": False,
        "default_args": {"owner": "data-platform", "retries": 2, "retry_delay": timedelta(seconds=retry_seconds)},
    }
