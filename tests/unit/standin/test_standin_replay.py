"""Replay of a public archive: what is read, what is refused, and when the trades happen."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path

import pytest

from include.market.standin import ArchiveError, StandInError
from include.market.standin.archive import load_archive, symbol_of
from include.market.standin.ledger import Pace
from include.market.standin.replayed_ledger import ReplayedLedger
from tests.support.reference import load_archive_trades

HEADER = "id,price,qty,quote_qty,time,is_buyer_maker,is_best_match"
ROWS = [
    "100,39432.48000000,0.00026300,10.37074224,1610064000278,True,True",
    "101,39432.48000000,0.00437600,172.58698944,1610064000278,True,True",
    "102,39439.22000000,0.00031100,12.26559742,1610064001278,False,True",
    "103,39439.06000000,0.5,19719.53,1610064003278,False,False",
    "104,39439.06000000,0.5,19719.53,1610064003278,True,True",
]
MILLISECONDS = re.compile(r"\b\d{13}\b")
NOW_US = 1_700_000_000_000_000
SECOND = 1_000_000


def archive(tmp_path: Path, *lines: str, name: str = "BTCUSDT-trades-2021-01-08.csv") -> Path:
    path = tmp_path / name
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param([HEADER, *ROWS], id="with header"),
        pytest.param(ROWS, id="without header"),
        pytest.param([MILLISECONDS.sub(r"\g<0>000", row) for row in ROWS], id="microseconds"),
        pytest.param([r.replace("True", "true").replace("False", "FALSE") for r in ROWS], id="other spelling of truth"),
    ],
)
def test_every_form_of_the_archive_gives_the_same_trades(tmp_path: Path, lines: list[str]):
    path = archive(tmp_path, *lines)
    trades = list(load_archive(path).records("BTCUSDT"))
    assert [(t.id, t.price, t.qty, t.time_ms, t.buyer_maker) for t in trades] == [
        (100, Decimal("39432.48"), Decimal("0.000263"), 1610064000278, True),
        (101, Decimal("39432.48"), Decimal("0.004376"), 1610064000278, True),
        (102, Decimal("39439.22"), Decimal("0.000311"), 1610064001278, False),
        (103, Decimal("39439.06"), Decimal("0.5"), 1610064003278, False),
        (104, Decimal("39439.06"), Decimal("0.5"), 1610064003278, True),
    ]
    assert load_archive(path).best_match.tolist() == [True, True, True, False, True]
    aggregates = [t.aggregate_id for t in trades]
    assert [a - aggregates[0] for a in aggregates] == [0, 0, 1, 2, 3], "same time, price and side: one order"
    reference = load_archive_trades(path, "BTCUSDT")
    assert [(t.id, t.price, t.qty, t.time_ms) for t in trades] == [(t.id, t.price, t.qty, t.time_ms) for t in reference]


@pytest.mark.parametrize(
    ("lines", "line", "column", "words"),
    [
        ([HEADER], 1, "id", "no trades"),
        ([HEADER.replace("price", "cost"), *ROWS], 1, "price", "'cost'"),
        ([HEADER, ROWS[0].replace("39432.48000000", "39432,48")], 2, "is_best_match", "8 columns"),
        ([HEADER, ROWS[0].replace("39432.48000000", "cheap")], 2, "price", "'cheap' is not a positive number"),
        ([HEADER, ROWS[0].replace("39432.48000000", "-1")], 2, "price", "'-1'"),
        ([HEADER, ROWS[0], ROWS[1].replace("0.00437600", "0")], 3, "qty", "'0'"),
        ([HEADER, ROWS[0], ROWS[1].replace("0.00437600", "0.123456789")], 3, "qty", "8 decimals"),
        ([ROWS[0].replace("1610064000278", "yesterday")], 1, "time", "not a whole number"),
        ([ROWS[0].replace("True,True", "True,maybe")], 1, "is_best_match", "'maybe' is neither"),
        ([ROWS[0], ROWS[2]], 2, "id", "102 follows 100"),
        ([ROWS[0], ROWS[1].replace("1610064000278", "1610064000277")], 2, "time", "must not go back"),
        ([ROWS[0], "101,1"], 2, "qty", "2 columns"),
    ],
)
def test_wrong_content_is_named_by_line_and_column(
    tmp_path: Path, lines: list[str], line: int, column: str, words: str
):
    with pytest.raises(ArchiveError, match=words) as refused:
        load_archive(archive(tmp_path, *lines))
    assert (refused.value.line, refused.value.column) == (line, column)
    assert f"line {line}, column {column}" in str(refused.value)


@pytest.mark.parametrize(
    ("name", "symbol"),
    [("BTCUSDT-trades-2021-01-08.csv", "BTCUSDT"), ("trades.csv", None), ("btcusdt-trades-.csv", None)],
)
def test_the_symbol_is_told_by_the_file_name(name: str, symbol: str | None):
    assert symbol_of(Path(name)) == symbol


def replay(tmp_path: Path, factor: float = 1.0) -> ReplayedLedger:
    trades = load_archive(archive(tmp_path, *ROWS))
    return ReplayedLedger(("BTCUSDT", "ETHUSDT"), "BTCUSDT", trades, factor, NOW_US)


@pytest.mark.parametrize(
    ("factor", "pace", "after_seconds", "happened"),
    [
        (1.0, Pace(), 0.0, [100, 101]),
        (1.0, Pace(), 0.999, [100, 101]),
        (1.0, Pace(), 1.0, [100, 101, 102]),
        (1.0, Pace(), 60.0, [100, 101, 102, 103, 104]),
        (10.0, Pace(), 0.1, [100, 101, 102]),
        (1.0, Pace(factor=30.0), 0.1, [100, 101, 102, 103, 104]),
        (1.0, Pace(stopped=frozenset({"BTCUSDT"})), 60.0, [100, 101]),
        (1.0, Pace(stopped=frozenset({"ETHUSDT"})), 1.5, [100, 101, 102]),
    ],
)
def test_trades_happen_at_their_own_pace_times_the_factor(
    tmp_path: Path, factor: float, pace: Pace, after_seconds: float, happened: list[int]
):
    ledger = replay(tmp_path, factor)
    ledger.set_pace(pace)
    ledger.advance(NOW_US + round(after_seconds * SECOND))
    trades = list(ledger.columns("BTCUSDT", 0, 10**12).records("BTCUSDT"))
    assert [t.id for t in trades] == happened
    assert trades[0].time_ms == 1610064000278, "event times stay as recorded"
    assert ledger.next_id("BTCUSDT") == happened[-1] + 1
    assert len(ledger.columns("ETHUSDT", 0, 10**12)) == 0


def test_an_interrupted_replay_goes_on_where_it_was_held(tmp_path: Path):
    ledger = replay(tmp_path)
    ledger.set_pace(Pace(stopped=frozenset({"BTCUSDT"})))
    ledger.advance(NOW_US + 100 * SECOND)
    ledger.set_pace(Pace())
    ledger.advance(NOW_US + 101 * SECOND)
    assert ledger.next_id("BTCUSDT") == 103


def test_a_file_of_another_symbol_is_refused(tmp_path: Path):
    with pytest.raises(StandInError, match="trades are of SOLUSDT; the symbols are BTCUSDT"):
        ReplayedLedger(("BTCUSDT",), "SOLUSDT", load_archive(archive(tmp_path, *ROWS)), 1.0, NOW_US)
