"""Pooled connections with deadlines, in UTC, whatever the server's own configuration is."""

from __future__ import annotations

import math
from typing import Any

import mysql.connector
from sqlalchemy import URL, Engine, create_engine

from include.settings import Settings

# What every session of ours agrees on, on MySQL and MariaDB alike.
_SESSION = (
    "SET SESSION time_zone = '+00:00', lock_wait_timeout = {lock}, innodb_lock_wait_timeout = {lock},"
    " sql_mode = 'STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION'"
)


def driver_connection(settings: Settings, **options: Any) -> Any:
    """One connection of the plain driver, for a look or a baseline; ``options`` are the driver's own."""
    return mysql.connector.connect(
        host=settings.mysql_host,
        port=settings.mysql_port,
        user=settings.mysql_user,
        password=settings.mysql_password.get_secret_value(),
        database=settings.mysql_database,
        **options,
    )


def create_warehouse_engine(settings: Settings, statement_seconds: float | None = None) -> Engine:
    """A pool of ``settings.mysql_pool_size`` connections to the pipeline's database; ``dispose()`` it at the end.

    Nothing is connected yet. Each statement ends within ``statement_seconds``, by default
    ``settings.mysql_timeout_seconds``, or raises :class:`sqlalchemy.exc.DBAPIError`; a connection that died while
    pooled is replaced without an error.
    """
    deadline = max(1, math.ceil(settings.mysql_timeout_seconds))
    statement_deadline = max(deadline, math.ceil(statement_seconds or 0))
    url = URL.create(
        "mysql+mysqlconnector",
        username=settings.mysql_user,
        password=settings.mysql_password.get_secret_value(),
        host=settings.mysql_host,
        port=settings.mysql_port,
        database=settings.mysql_database,
    )
    return create_engine(
        url,
        # Transactions lock what they read in order to change it; the default level would add gap locks to that, which
        # stand in the way of other writers.
        isolation_level="READ COMMITTED",
        pool_size=settings.mysql_pool_size,
        max_overflow=0,
        pool_timeout=deadline,
        pool_pre_ping=True,
        pool_recycle=1800,
        connect_args={
            "charset": "utf8mb4",
            "collation": "utf8mb4_bin",  # known to both servers; the driver's default is not
            "connection_timeout": deadline,
            "read_timeout": statement_deadline,
            "write_timeout": statement_deadline,
            "init_command": _SESSION.format(lock=deadline),
            "use_pure": False,
        },
    )
