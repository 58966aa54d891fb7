"""The proof's own arithmetic equals the reference, and its words name what differs."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from include.repair.compare import compare, expected_rows, provable
from include.repair.model import Comparison
from include.repair.tables import SUMS
from include.repair.totals import Total, Values, add_all
from tests.support.reference import ReferenceTrade, reference_averages
from tests.support.repairing import rest
from tests.support.trade_groups import START_MS, trade

UNITS = st.integers(1, 10**15).map(lambda units: Decimal(units).scaleb(-8))
MINUTE = START_MS // 60_000
REACH = range(MINUTE - 14, MINUTE + 30)


def totals_of(trades: list[ReferenceTrade]) -> dict[int, Total]:
    totals: dict[int, Total] = {}
    add_all(totals, map(rest, trades))
    return totals


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(UNITS, UNITS, st.integers(0, 40_000)), min_size=1, max_size=20))
def test_windows_equal_the_reference(drawn: list[tuple[Decimal, Decimal, int]]) -> None:
    trades = [ReferenceTrade("X", 7 + i, p, q, START_MS + i * step) for i, (p, q, step) in enumerate(drawn)]
    rows = expected_rows("X", totals_of(trades), range(MINUTE, MINUTE + 14), REACH, (1, 5, 15))
    found = {(s, n, start * 60_000): row for (s, n, start), row in rows.items() if n != SUMS}
    wanted = {
        key: Values(r.sma, r.vwap, r.trade_count, r.volume, r.first_trade_id, r.last_trade_id, r.last_price)
        for key, r in reference_averages(trades, (1, 5, 15)).items()
        if key[2] // 60_000 < MINUTE + 14
    }
    assert found == wanted


def test_only_windows_that_touch_the_span_are_compared() -> None:
    rows = expected_rows(
        "X", totals_of([trade(1, 0), trade(2, 3), trade(3, 20)]), range(MINUTE + 3, MINUTE + 4), REACH, (1, 5)
    )
    assert {(n, start - MINUTE) for _, n, start in rows if n != SUMS} == {(1, 3), *((5, i) for i in range(-1, 4))}
    assert {start - MINUTE for _, n, start in rows if n == SUMS} == {0, 3, 20}


def test_a_comparison_names_what_differs() -> None:
    right = Values(Decimal(1), Decimal(2), 3, Decimal(4), 5, 6, Decimal(7))
    expected = {("X", 1, 0): right, ("X", 5, 0): right, ("X", SUMS, 0): right}
    found = {("X", 1, 0): right._replace(two=Decimal("2.5")), ("X", SUMS, 0): right, ("X", 1, 9): right}
    result = compare(expected, found)
    assert result == Comparison(4, missing=1, wrong=1, extra=1, differing=result.differing)
    assert result.differing == (
        "X 1-minute window from 1970-01-01 00:00 has VWAP 2.5, the exchange's ledger gives 2",
        "X 5-minute window from 1970-01-01 00:00 is missing",
        "X 1-minute window from 1970-01-01 00:09 has no trades at the exchange",
    )
    assert not result.equal
    assert compare(expected, expected).equal
    assert not compare({}, {}).equal, "nothing was proved"


def test_of_many_differences_twenty_are_named() -> None:
    right = Values(Decimal(1), Decimal(2), 3, Decimal(4), 5, 6, Decimal(7))
    result = compare({("X", 1, i): right for i in range(50)}, {})
    assert (result.missing, len(result.differing)) == (50, 20)


def test_a_row_is_provable_when_the_exchange_has_all_its_minutes() -> None:
    cases = {(5, 0): False, (5, 1): False, (5, 5): True, (1, 4): False, (1, 3): True, (SUMS, 4): False, (SUMS, 5): True}
    assert {key: provable(("X", *key), {4}) for key in cases} == cases
