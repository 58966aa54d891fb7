"""The generated ledger: the same seed gives the same trades, from any side, at any time, after any restart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from include.market.standin.errors import JournalError
from include.market.standin.generated_ledger import GeneratedLedger
from include.market.standin.journal import FileJournal
from include.market.standin.ledger import Pace
from include.market.standin.trades import Trade, TradeColumns

START_US = 1_700_000_000_000_000
SECOND = 1_000_000
SYMBOLS = ("BTCUSDT", "ETHUSDT")


def ledger(seed: int = 1, rate: float = 200.0, journal: FileJournal | None = None, now_us: int = START_US):
    return GeneratedLedger(SYMBOLS, seed, rate, now_us, journal)


def everything(market: GeneratedLedger, symbol: str = "BTCUSDT") -> TradeColumns:
    return market.columns(symbol, 0, market.next_id(symbol))


def records(market: GeneratedLedger, symbol: str = "BTCUSDT") -> list[Trade]:
    return list(everything(market, symbol).records(symbol))


def test_the_ledger_depends_on_the_seed_alone_not_on_how_time_passes():
    smooth, jumping = ledger(), ledger()
    for step in range(1, 501):
        smooth.advance(START_US + step * 20_000)
    jumping.advance(START_US + 10 * SECOND)
    assert records(smooth) == records(jumping)
    assert len(records(smooth)) == pytest.approx(1000, abs=5)

    other = ledger(seed=2)
    other.advance(START_US + 10 * SECOND)
    assert [t.price for t in records(other)] != [t.price for t in records(smooth)]


def test_any_part_can_be_had_again_after_its_block_has_left_the_cache():
    market = ledger(rate=100_000)
    market.advance(START_US + SECOND)
    early = records(market)[:100]
    market.advance(START_US + 20 * SECOND)
    newest = market.next_id("BTCUSDT")
    market.columns("BTCUSDT", newest - 500_000, newest)  # more blocks than are kept
    assert list(market.columns("BTCUSDT", early[0].id, early[-1].id + 1).records("BTCUSDT")) == early


def test_trades_look_like_those_of_a_market():
    market = ledger(rate=2_000)
    market.advance(START_US + 10 * SECOND)
    trades = everything(market)
    assert trades.first_id > 100_000_000
    assert (np.diff(trades.time_us) >= 0).all()
    assert len(np.unique(trades.time_us // 1000)) > 3_000  # spread over the milliseconds, not bunched by the tick
    assert (trades.price % 10**6 == 0).all(), "two decimals"
    assert (trades.qty % 10**3 == 0).all(), "five decimals"
    assert (trades.qty > 0).all()
    assert np.abs(np.diff(trades.price)).max() < trades.price[0] // 1000
    assert 0.4 < trades.buyer_maker.mean() < 0.6


def test_the_trades_of_an_aggregate_share_price_time_and_side_and_aggregates_are_consecutive():
    market = ledger(rate=2_000)
    market.advance(START_US + 10 * SECOND)
    trades = everything(market)
    same = np.diff(trades.aggregate) == 0
    assert set(np.diff(trades.aggregate).tolist()) == {0, 1}
    for column in (trades.price, trades.time_us, trades.buyer_maker):
        assert (column[1:][same] == column[:-1][same]).all()
    for aggregate in trades.aggregate[:200].tolist():
        first = trades.first_id + int(np.searchsorted(trades.aggregate, aggregate))
        assert market.first_of_aggregate("BTCUSDT", aggregate) == first


def test_the_first_trade_at_or_after_any_time_is_found_across_changes_of_pace():
    market = ledger()
    for second, pace in (
        (1, Pace(factor=10)),
        (2, Pace(stopped=frozenset(SYMBOLS))),
        (4, Pace(rate=3.0)),
        (7, Pace()),
        (8, Pace(rate=0.0)),
    ):
        market.advance(START_US + second * SECOND)
        market.set_pace(pace)
    market.advance(START_US + 9 * SECOND)
    trades = everything(market)
    moments = [*range(START_US - 5, START_US + 9 * SECOND + 5, 9_973), *trades.time_us.tolist()]
    for moment in moments:
        assert market.id_at("BTCUSDT", moment) == trades.first_id + int(np.searchsorted(trades.time_us, moment)), moment


@pytest.mark.parametrize(
    ("pace", "expected"),
    [
        (Pace(), 100),
        (Pace(factor=10), 1_000),
        (Pace(rate=50.0), 25),
        (Pace(rate=0.0), 0),
        (Pace(stopped=frozenset({"BTCUSDT"})), 0),
        (Pace(stopped=frozenset({"ETHUSDT"})), 100),
    ],
)
def test_a_pace_changes_how_many_trades_follow_and_ids_stay_consecutive(pace: Pace, expected: int):
    market = ledger()
    market.advance(START_US + SECOND)
    before = market.next_id("BTCUSDT")
    market.set_pace(pace)
    market.advance(START_US + 2 * SECOND)
    assert market.next_id("BTCUSDT") - before == pytest.approx(expected, abs=5)
    market.set_pace(Pace())
    market.advance(START_US + 3 * SECOND)
    trades = everything(market)
    assert trades.stop_id - trades.first_id == len(trades) == market.next_id("BTCUSDT") - market.first_id("BTCUSDT")
    assert (np.diff(trades.time_us) >= 0).all()


def test_a_clock_that_goes_back_changes_nothing():
    market = ledger()
    market.advance(START_US + SECOND)
    before = records(market)
    market.advance(START_US)
    assert records(market) == before
    assert market.now_us == START_US + SECOND


def test_a_restart_continues_the_ledger_as_if_nothing_had_been_traded_meanwhile(tmp_path: Path):
    first = ledger(journal=FileJournal(tmp_path, "ledger"))
    first.advance(START_US + 10 * SECOND)
    before = records(first)
    first.close()

    second = ledger(journal=FileJournal(tmp_path, "ledger"), now_us=START_US + 100 * SECOND)
    assert second.resumed
    assert records(second) == before
    second.advance(START_US + 101 * SECOND)
    after = records(second)
    assert after[: len(before)] == before
    assert after[len(before)].id == before[-1].id + 1
    assert all(trade.time_ms >= START_US // 1000 + 100_000 for trade in after[len(before) :])
    assert len(after) - len(before) == pytest.approx(100, abs=5)


def test_a_crash_never_takes_back_a_trade_that_was_seen(tmp_path: Path):
    crashed = ledger(journal=FileJournal(tmp_path, "ledger"))
    for step in range(1, 200):
        crashed.advance(START_US + step * 50_000)
    seen = records(crashed)  # no close: the process was killed

    resumed = ledger(journal=FileJournal(tmp_path, "ledger"), now_us=START_US + 10 * SECOND)
    assert records(resumed)[: len(seen)] == seen


def test_a_journal_cut_at_any_byte_is_usable_and_a_damaged_line_is_named(tmp_path: Path):
    path = tmp_path / "ledger.jsonl"
    market = ledger(journal=FileJournal(tmp_path, "ledger"))
    market.advance(START_US + SECOND)
    market.set_pace(Pace(factor=2))
    market.close()
    content = path.read_bytes()
    assert content.count(b"\n") == 2
    for size in range(0, len(content), 3):
        path.write_bytes(content[:size])
        reopened = ledger(journal=FileJournal(tmp_path, "ledger"), now_us=START_US + 2 * SECOND)
        assert reopened.resumed == (b"\n" in content[:size])
        assert len(FileJournal(tmp_path, "ledger").segments) == content[:size].count(b"\n") + 1, "and again"
    path.write_bytes(b"{}\n" + content)
    with pytest.raises(JournalError, match=r"ledger\.jsonl, line 1: not a rate segment"):
        FileJournal(tmp_path, "ledger")


def test_a_symbol_that_is_added_later_begins_its_own_ledger(tmp_path: Path):
    old = GeneratedLedger(("BTCUSDT",), 1, 100.0, START_US, FileJournal(tmp_path, "ledger"))
    old.advance(START_US + SECOND)
    before = records(old)
    old.close()
    new = ledger(journal=FileJournal(tmp_path, "ledger"), now_us=START_US + 5 * SECOND)
    new.advance(START_US + 6 * SECOND)
    assert records(new)[: len(before)] == before
    assert records(new, "ETHUSDT")[0].time_ms >= START_US // 1000 + 5_000
