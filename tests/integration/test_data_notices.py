"""Notices beside the data, on the real server."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from include.repair.model import Span
from include.repair.notices import NoticeKind, announce, end, mark_repaired, open_notices
from include.settings import Settings
from include.warehouse.migrations import migrate

pytestmark = pytest.mark.integration

AT = datetime(2026, 11, 24, 10, 0, tzinfo=UTC)
BOTH = ("BTCUSDT", "ETHUSDT")
SAMPLED, INCOMPLETE = NoticeKind.SAMPLED, NoticeKind.INCOMPLETE


def minutes(number: float) -> datetime:
    return AT + timedelta(minutes=number)


def test_a_notice_is_announced_once_ended_once_and_repaired(fresh_database: Settings) -> None:
    migrate(fresh_database)
    first = announce(fresh_database, SAMPLED, BOTH, AT, "one trade in ten", incident_id="INC-2026-0001")
    again = announce(fresh_database, SAMPLED, reversed(BOTH), minutes(1), "again", incident_id="INC-2026-0001")
    other = announce(fresh_database, SAMPLED, BOTH, AT, "one in ten", incident_id="INC-2026-0002")
    manual = announce(fresh_database, INCOMPLETE, ["ETHUSDT"], AT, "trades are missing")
    assert (again, len({first, other, manual})) == (first, 3)
    assert announce(fresh_database, INCOMPLETE, ["ETHUSDT"], AT, "the same, by nobody") == manual

    (notice,) = open_notices(fresh_database, "INC-2026-0001")
    assert (notice.kind, notice.symbols, notice.start, notice.until) == (SAMPLED, BOTH, AT, None)
    assert (notice.detail, notice.repaired_at) == ("one trade in ten", None)
    assert end(fresh_database, first, minutes(2))
    assert not end(fresh_database, first, minutes(3)), "the first end is kept"
    assert open_notices(fresh_database, "INC-2026-0001")[0].until == minutes(2)
    later = announce(fresh_database, SAMPLED, BOTH, minutes(5), "anew", incident_id="INC-2026-0001")
    assert later != first, "what has ended does not go on: this is another one"
    assert [n.id for n in open_notices(fresh_database)] == [first, other, manual, later]


@pytest.mark.parametrize(
    ("start", "until", "symbols", "done"),
    [
        (0, 10, BOTH, True),
        (3, 4, ("ETHUSDT",), True),
        (-1, 5, BOTH, False),  # it began before what was proved
        (5, 11, BOTH, False),
        (3, 4, ("ETHUSDT", "SOLUSDT"), False),
        (3, None, BOTH, False),  # it goes on
    ],
)
def test_what_a_proof_settles(
    fresh_database: Settings, start: float, until: float | None, symbols: tuple[str, ...], done: bool
) -> None:
    migrate(fresh_database)
    ends = None if until is None else minutes(until)
    announce(fresh_database, INCOMPLETE, symbols, minutes(start), "trades are missing", until=ends)
    span = Span(AT, minutes(10), BOTH)
    assert mark_repaired(fresh_database, span, minutes(30)) == done
    assert mark_repaired(fresh_database, span, minutes(31)) == 0
    assert (open_notices(fresh_database) == ()) == done
