"""The reference itself, on cases small enough to be worked out by hand."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.support.reference import ReferenceTrade, reference_averages, trade_of_message

MINUTE = 60_000


def trade(trade_id: int, price: str, qty: str, time_ms: int, symbol: str = "BTCUSDT") -> ReferenceTrade:
    return ReferenceTrade(symbol, trade_id, Decimal(price), Decimal(qty), time_ms)


def test_a_window_of_one_minute_by_hand():
    trades = [trade(7, "10", "1", 0), trade(8, "20", "3", 59_999), trade(9, "50", "1", MINUTE)]
    averages = reference_averages(trades, [1])
    assert set(averages) == {("BTCUSDT", 1, 0), ("BTCUSDT", 1, MINUTE)}
    first = averages["BTCUSDT", 1, 0]
    assert (first.sma, first.vwap) == (Decimal("15.00000000"), Decimal("17.50000000"))
    assert (first.trade_count, first.volume, first.last_price) == (2, Decimal(4), Decimal(20))
    assert (first.first_trade_id, first.last_trade_id) == (7, 8)


@pytest.mark.parametrize(
    ("prices", "sma"),
    [
        (["1", "1", "2"], "1.33333333"),
        (["1", "2", "2"], "1.66666667"),
        (["0.00000001", "0.00000002"], "0.00000002"),  # a half goes up
        (["0.00000001", "0.00000001", "0.00000002", "0.00000001"], "0.00000001"),
        (["99999999999.99999999", "99999999999.99999998"], "99999999999.99999999"),
    ],
)
def test_means_are_rounded_half_up_at_the_eighth_decimal(prices: list[str], sma: str):
    trades = [trade(number, price, "1", 0) for number, price in enumerate(prices)]
    average = reference_averages(trades, [1])["BTCUSDT", 1, 0]
    assert average.sma == average.vwap == Decimal(sma)
    assert str(average.sma) == sma or Decimal(sma) < Decimal("0.000001")


def test_sliding_windows_step_by_a_minute_and_exist_only_with_a_trade():
    averages = reference_averages([trade(1, "10", "1", 20 * MINUTE + 5)], [1, 5])
    starts = sorted(start // MINUTE for _, minutes, start in averages if minutes == 5)
    assert starts == [16, 17, 18, 19, 20]
    assert [start // MINUTE for _, minutes, start in averages if minutes == 1] == [20]


def test_order_and_repetition_do_not_matter_and_symbols_do_not_mix():
    trades = [trade(1, "10", "1", 5), trade(2, "20", "2", 3), trade(1, "30", "4", 5, "ETHUSDT")]
    expected = reference_averages(trades, [1])
    assert reference_averages([*reversed(trades), trades[0]], [1]) == expected
    assert expected["BTCUSDT", 1, 0].last_price == Decimal(20), "of the highest id, not of the latest time"
    assert expected["ETHUSDT", 1, 0].trade_count == 1


def test_a_raw_message_is_read():
    raw = b'{"e":"trade","E":2,"s":"BTCUSDT","t":7,"p":"10.50000000","q":"0.00100000","T":1,"m":true,"M":true}'
    assert trade_of_message(raw) == trade(7, "10.50000000", "0.00100000", 1)
