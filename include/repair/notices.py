"""Notices beside the data: averages of this time are sampled, or incomplete. Readers of ``moving_averages`` see them.

A notice begins when somebody announces it, has an end once that is known, and is done when a repair has proved that the
tables of its time equal the exchange's ledger. Every call raises :class:`sqlalchemy.exc.DBAPIError` when MySQL does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection

from include.repair.model import Span
from include.repair.span import to_ms
from include.runtime.clock import Clock, SystemClock
from include.settings import Settings
from include.warehouse.engine import create_warehouse_engine
from include.warehouse.moments import from_ms, to_utc

_COLUMNS = "id, kind, symbols, valid_from, valid_until, detail, incident_id, announced_at, repaired_at"


class NoticeKind(StrEnum):
    """What is the matter with the averages."""

    SAMPLED = "sampled"  # made of a part of the trades, on purpose
    INCOMPLETE = "incomplete"  # trades are missing


@dataclass(frozen=True, slots=True)
class Notice:
    """One notice; moments are aware, in UTC. ``until`` is ``None`` while it goes on."""

    id: int
    kind: NoticeKind
    symbols: tuple[str, ...]
    start: datetime
    until: datetime | None
    detail: str
    incident_id: str | None
    announced_at: datetime
    repaired_at: datetime | None


def announce(
    settings: Settings,
    kind: NoticeKind,
    symbols: Iterable[str],
    start: datetime,
    detail: str,
    *,
    incident_id: str | None = None,
    until: datetime | None = None,
    clock: Clock | None = None,
) -> int:
    """Tell readers; returns the notice's number. Saying the same again while it goes on changes nothing: the notice of
    the same kind, symbols and incident that has no end yet is kept, and its number returned.
    """
    names = ",".join(sorted(set(symbols)))
    now = from_ms((clock or SystemClock()).time_ms())
    with _transaction(settings) as connection:
        known = connection.exec_driver_sql(
            "SELECT id FROM data_notices WHERE kind = %s AND symbols = %s AND incident_id <=> %s"
            " AND valid_until IS NULL AND repaired_at IS NULL ORDER BY id LIMIT 1 FOR UPDATE",
            (kind.value, names, incident_id),
        ).scalar()
        if known is not None:
            return int(known)
        values = (kind.value, names, _text(start), _text(until), detail, incident_id, now)
        result = connection.exec_driver_sql(
            "INSERT INTO data_notices (kind, symbols, valid_from, valid_until, detail, incident_id, announced_at)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s)",
            values,
        )
        return int(result.lastrowid)


def end(settings: Settings, notice_id: int, until: datetime) -> bool:
    """From ``until`` on the averages are as they should be. ``False``: it had an end already, which is kept."""
    with _transaction(settings) as connection:
        return _changed(
            connection,
            "UPDATE data_notices SET valid_until = %s WHERE id = %s AND valid_until IS NULL",
            _text(until),
            notice_id,
        )


def mark_repaired(settings: Settings, span: Span, at: datetime) -> int:
    """Notices that have ended and lie within ``span``, in time and symbols, are done; returns how many."""
    done = 0
    with _transaction(settings) as connection:
        for notice in _read(connection, "repaired_at IS NULL AND valid_until IS NOT NULL"):
            inside = notice.until is not None and span.start <= notice.start and notice.until <= span.end
            if inside and set(notice.symbols) <= set(span.symbols):
                statement = "UPDATE data_notices SET repaired_at = %s WHERE id = %s AND repaired_at IS NULL"
                done += _changed(connection, statement, _text(at), notice.id)
    return done


def open_notices(settings: Settings, incident_id: str | None = None) -> tuple[Notice, ...]:
    """Notices that no repair has settled, oldest first; with an incident, those of that incident."""
    with _transaction(settings) as connection:
        if incident_id is None:
            return tuple(_read(connection, "repaired_at IS NULL"))
        return tuple(_read(connection, "repaired_at IS NULL AND incident_id = %s", incident_id))


def _read(connection: Connection, condition: str, *arguments: object) -> list[Notice]:
    statement = f"SELECT {_COLUMNS} FROM data_notices WHERE {condition} ORDER BY id"  # noqa: S608 - from code
    return [_notice(*row) for row in connection.exec_driver_sql(statement, arguments or None)]


def _notice(number: int, kind: str, symbols: str, start: datetime, until: datetime | None, *rest: Any) -> Notice:
    detail, incident_id, announced_at, repaired_at = rest
    return Notice(
        number,
        NoticeKind(kind),
        tuple(symbols.split(",")),
        to_utc(start),
        None if until is None else to_utc(until),
        detail,
        incident_id,
        to_utc(announced_at),
        None if repaired_at is None else to_utc(repaired_at),
    )


def _changed(connection: Connection, statement: str, *arguments: object) -> bool:
    return bool(connection.exec_driver_sql(statement, arguments).rowcount)


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else from_ms(to_ms(moment))


@contextmanager
def _transaction(settings: Settings) -> Iterator[Connection]:
    engine = create_warehouse_engine(settings)
    try:
        with engine.begin() as connection:
            yield connection
    finally:
        engine.dispose()
