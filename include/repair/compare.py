"""The proof: rows of the tables against what the exchange's ledger makes of the same time."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from include.repair.model import Comparison
from include.repair.span import minute_text
from include.repair.tables import SUMS, RowKey, starts_touching
from include.repair.totals import Total, Values, windows

_NAMED = 20
_FIELDS = {
    True: ("price sum", "turnover", "trades", "volume", "first id", "last id", "last price"),
    False: ("SMA", "VWAP", "trades", "volume", "first id", "last id", "last price"),
}


def expected_rows(
    symbol: str, totals: Mapping[int, Total], minutes: range, reach: range, lengths: Iterable[int]
) -> dict[RowKey, Values]:
    """Sums of the minutes of ``reach``, and every window that touches ``minutes``, made of the exchange's totals."""
    inside = {minute: total for minute, total in totals.items() if minute in reach}
    rows = {(symbol, SUMS, minute): total.as_minute() for minute, total in inside.items()}
    for length in lengths:
        for start, total in windows(inside, length, starts_touching(minutes, length)):
            rows[symbol, length, start] = total.as_window()
    return rows


def provable(key: RowKey, unproved: Collection[int]) -> bool:
    """Whether the exchange has all trades of a row."""
    _, length, start = key
    return not any(minute in unproved for minute in range(start, start + max(length, 1)))


def compare(expected: Mapping[RowKey, Values], found: Mapping[RowKey, Values]) -> Comparison:
    """Row by row. The sums of the minutes count like windows: a wrong one would spoil the next window made of it."""
    result, words = Comparison(len(expected.keys() | found.keys()), 0, 0, 0), list[str]()
    for key in sorted(expected.keys() | found.keys(), key=lambda each: (each[0], each[2], each[1])):
        wanted, actual = expected.get(key), found.get(key)
        if wanted == actual:
            continue
        if actual is None:
            result, what = replace(result, missing=result.missing + 1), "is missing"
        elif wanted is None:
            result, what = replace(result, extra=result.extra + 1), "has no trades at the exchange"
        else:
            result, what = replace(result, wrong=result.wrong + 1), _difference(wanted, actual, key[1] == SUMS)
        if len(words) < _NAMED:
            words.append(f"{row_text(key)} {what}")
    return replace(result, differing=tuple(words))


def row_text(key: RowKey) -> str:
    """A row in words."""
    symbol, length, start = key
    what = "sums of the minute" if length == SUMS else f"{length}-minute window from"
    return f"{symbol} {what} {minute_text(start)}"


def _difference(wanted: Values, actual: Values, sums: bool) -> str:
    name, right, wrong = next((name, a, b) for name, a, b in zip(_FIELDS[sums], wanted, actual, strict=True) if a != b)
    return f"has {name} {wrong}, the exchange's ledger gives {right}"
