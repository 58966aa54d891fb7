"""The review's numbers from the real ledger."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from include.incidents.memory_store import MemoryIncidentStore
from include.incidents.model import IncidentState
from include.playbook.names import Component
from include.review.document import FigureKey
from include.review.gather import gather, sources_from_settings
from include.review.impact import figures
from include.review.material import Missing
from include.settings import Settings
from include.stack.ports import free_ports
from include.warehouse.engine import create_warehouse_engine
from include.warehouse.ledger import BatchIdentity, LedgerEntry, write_entry
from include.warehouse.migrations import migrate
from include.warehouse.moments import from_ms
from tests.support.reviewing import Desk, manual_clock

pytestmark = pytest.mark.integration
QUERY = "00000000-0000-0000-0000-000000000001"


def _write(settings: Settings, batches: list[tuple[datetime, datetime]]) -> None:
    """Batches of 20 trades and six averages, by when they were committed and how far they had come."""
    engine = create_warehouse_engine(settings)
    with engine.begin() as connection:
        for number, (committed, newest) in enumerate(batches):
            identity = BatchIdentity(QUERY, number, "crypto-trades", "topic-id")
            newest_ms = round(newest.timestamp() * 1000)
            entry = LedgerEntry(identity, {0: 0}, {0: 9}, 20, 0, 0, 3, 6, 1, newest_ms, "0" * 16)
            write_entry(connection, entry, from_ms(round(committed.timestamp() * 1000)))
    engine.dispose()


def _incident(settings: Settings) -> Desk:
    """40 s without a batch, then resolved."""
    clock = manual_clock()
    desk = Desk(MemoryIncidentStore(clock), clock)
    start = desk.now()
    desk.open(target=Component.KAFKA, onset_at=start)
    second = timedelta(seconds=1)
    seconds = (-5, -1, *range(40, 50), 70)  # the last one comes after the incident
    _write(settings, [(start + second * n, start + second * (n - 1)) for n in seconds])
    desk.walk(IncidentState.RESOLVED, 50)
    return desk


def test_rows_late_and_the_freshness_breach_come_from_the_ledger(fresh_database: Settings) -> None:
    migrate(fresh_database)
    desk = _incident(fresh_database)
    sources = replace(sources_from_settings(fresh_database), actions=lambda _: (), collections=lambda _: ())
    material = gather(desk.store, sources, desk.incident.id, datetime.now(UTC))
    found = {each.key: each.value for each in figures(material)}
    assert found[FigureKey.FRESHNESS_BREACH] == 27.0  # from 13 s, when the newest trade was 15 s old, until 40 s
    assert found[FigureKey.LONGEST_AGE] == 42.0
    assert found[FigureKey.ROWS_LATE] == 6
    assert found[FigureKey.TRADES_LATE] == 20
    assert found[FigureKey.TRADES_AFTER_WATERMARK] == 30
    assert found[FigureKey.WINDOWS_CORRECTED] == 10


def test_a_database_that_is_not_there_is_named_within_its_deadline(fresh_database: Settings) -> None:
    desk = _incident_without_rows()
    away = fresh_database.model_copy(update={"mysql_port": free_ports(1)[0]})
    sources = replace(sources_from_settings(away), actions=lambda _: (), collections=lambda _: ())
    rows = gather(desk.store, sources, desk.incident.id, desk.now()).rows
    assert rows == Missing("the database did not answer: connectivity (2003)")


def _incident_without_rows() -> Desk:
    clock = manual_clock()
    desk = Desk(MemoryIncidentStore(clock), clock)
    desk.open()
    desk.walk(IncidentState.RESOLVED)
    return desk
