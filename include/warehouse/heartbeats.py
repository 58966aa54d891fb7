"""Signs of life in the database: who can write, and since when."""

from __future__ import annotations

import os

from sqlalchemy import Connection

from include.warehouse.moments import from_ms
from include.warehouse.upsert import UpsertTarget, upsert

_TARGET = UpsertTarget("heartbeats", ("service", "beat_at", "started_at", "pid"), frozenset({"service"}))


def beat(connection: Connection, service: str, now_ms: int, started_ms: int) -> None:
    """Say that ``service`` (this process) can write to the database now. Raises ``DBAPIError``."""
    upsert(connection, _TARGET, [(service, from_ms(now_ms), from_ms(started_ms), os.getpid())])
