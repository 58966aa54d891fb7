"""The job says every few seconds that it can write to MySQL, with or without trades."""

from __future__ import annotations

import threading

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from include.runtime.clock import Clock
from include.runtime.logging import get_logger
from include.warehouse.error_numbers import describe
from include.warehouse.heartbeats import beat

_PERIOD_SECONDS = 5.0

log = get_logger("stream_processor")


class Heartbeat:
    """Refreshes the heartbeat row until ``close()``; a database that is away is reported once."""

    def __init__(self, engine: Engine, service: str, clock: Clock) -> None:
        self._engine, self._service, self._clock = engine, service, clock
        self._started_ms = clock.time_ms()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def start(self) -> None:
        """Begin, if not begun already; the tables must be there."""
        if not self._thread.ident:
            self._thread.start()

    def close(self) -> None:
        """End, without waiting for a statement under way."""
        self._stop.set()

    def _run(self) -> None:
        failing = False
        while not self._stop.wait(_PERIOD_SECONDS):
            try:
                with self._engine.begin() as connection:
                    beat(connection, self._service, self._clock.time_ms(), self._started_ms)
                failing = False
            except SQLAlchemyError as error:
                if not failing:
                    log.warning("heartbeat not written", error=describe(error))
                failing = True
