"""Windows from minutes: the right ones, with the right sums, for any holes between the minutes."""

from __future__ import annotations

from functools import reduce
from operator import add

from hypothesis import given
from hypothesis import strategies as st

from include.warehouse.minutes import MinuteKey, TradeSums
from include.warehouse.windows import averages_touched, neighbourhood


def sums(minute: int) -> TradeSums:
    return TradeSums(
        10 * minute + 1, 7 * minute + 1, minute + 1, 1 + minute % 3, 100 * minute, 100 * minute + 50, minute
    )


MINUTES = st.sets(st.integers(0, 50), min_size=1, max_size=25)


@given(MINUTES, st.data())
def test_every_window_that_holds_a_changed_minute_and_no_other(present: set[int], data: st.DataObject) -> None:
    changed = data.draw(st.sets(st.sampled_from(sorted(present)), min_size=1))
    minutes = {MinuteKey("A", m): sums(m) for m in present}
    keys = [MinuteKey("A", m) for m in changed]
    lengths = (1, 5, 15)
    nearby = neighbourhood(keys, max(lengths))["A"]
    known = {key: value for key, value in minutes.items() if nearby.overlap(key.minute, key.minute)}

    found = {(a.window_minutes, a.start): a.sums for a in averages_touched(keys, known, lengths)}

    starts = {(n, m - i) for n in lengths for m in changed for i in range(n)}
    assert found == {
        (n, start): reduce(add, [minutes["A", m] for m in sorted(present) if start <= m < start + n])
        for n, start in starts
    }


def test_symbols_are_kept_apart() -> None:
    minutes = {MinuteKey("A", 1): sums(1), MinuteKey("B", 1): sums(2)}
    found = {(a.symbol, a.sums.price_sum) for a in averages_touched([MinuteKey("A", 1)], minutes, (1, 5))}
    assert found == {("A", sums(1).price_sum)}


def test_averages_are_rounded_half_up_at_the_eighth_decimal() -> None:
    # prices 1 and 2 units: mean 1.5 units; quantities 1 and 1
    pair = TradeSums(3, 3 * 10**8, 2 * 10**8, 2, 1, 2, 2)
    (average,) = averages_touched([MinuteKey("A", 0)], {MinuteKey("A", 0): pair}, (1,))
    assert (average.sma, average.vwap, average.end_ms) == (2, 2, 60_000)


def test_last_price_follows_the_highest_id_whatever_the_order() -> None:
    older, newer = TradeSums(1, 1, 1, 1, 5, 9, 111), TradeSums(1, 1, 1, 1, 10, 12, 222)
    assert (older + newer).last_price == (newer + older).last_price == 222
    assert (newer + older).first_trade_id == 5
