"""Reads trades from a CSV in the layout of the exchange's public archive.

Columns ``id,price,qty,quote_qty,time,is_buyer_maker,is_best_match``, with or without a header line. Times are in
milliseconds, in newer archives in microseconds; which one is told by their size.
"""

from __future__ import annotations

import csv
import re
from array import array
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from include.market.standin.errors import ArchiveError
from include.market.standin.trades import UNITS, TradeColumns

COLUMNS = ("id", "price", "qty", "quote_qty", "time", "is_buyer_maker", "is_best_match")
_TRUTH = {"true": True, "false": False}
_FIRST_MICROSECONDS = 10**14  # in milliseconds this is the year 5138
_WHOLE = re.compile(r"\d{1,18}\Z", re.ASCII)
_DECIMAL = re.compile(r"(\d{1,11})(?:\.(\d{1,8})0*)?\Z", re.ASCII)
_NAME = re.compile(r"([A-Z0-9]{2,20})-trades-")

_Row = tuple[int, int, int, int, bool, bool]  # id, price, qty, time in µs, buyer maker, best match


def symbol_of(path: Path) -> str | None:
    """The symbol that the archive's file name starts with (``BTCUSDT-trades-2021-01-08.csv``)."""
    match = _NAME.match(path.name)
    return match.group(1) if match else None


def load_archive(path: Path) -> TradeColumns:
    """All trades of a file, with aggregates: neighbours of the same time, price and side are one taker order.

    Raises :class:`ArchiveError`, which names line and column, for a file of another layout, for ids that are not
    consecutive, for times that go back, and for a file without trades.
    """
    flat = array("q")  # a day can have millions of trades: no object for each
    for row in _rows(path):
        flat.extend(row)
    if not flat:
        raise ArchiveError(path, 1, COLUMNS[0], "the file holds no trades")
    ids, price, qty, time_us, maker, best = np.frombuffer(flat, np.int64).reshape(-1, 6).T.copy()
    new_order = np.ones(len(ids), np.bool_)
    new_order[1:] = (np.diff(time_us) != 0) | (np.diff(price) != 0) | (maker[1:] != maker[:-1])
    first_aggregate = int(ids[0]) * 5 // 8  # the archive has no aggregate ids: any that ascend will do
    aggregate = (np.cumsum(new_order) - 1 + first_aggregate).astype(np.int64)
    return TradeColumns(int(ids[0]), price, qty, time_us, maker.astype(np.bool_), best.astype(np.bool_), aggregate)


def _rows(path: Path) -> Iterator[_Row]:
    previous: _Row | None = None
    with path.open(newline="", encoding="utf-8", errors="replace") as file:
        for line, cells in enumerate(csv.reader(file, strict=True), 1):
            if line == 1 and cells and cells[0].strip().lower() == "id":
                _check_header(path, cells)
                continue
            if not cells:
                continue
            row = _row(path, line, cells)
            if previous is not None:
                _check_order(path, line, previous, row)
            previous = row
            yield row


def _check_header(path: Path, cells: list[str]) -> None:
    for position, (name, found) in enumerate(zip(COLUMNS, cells, strict=False)):
        if found.strip().lower() != name:
            raise ArchiveError(path, 1, COLUMNS[position], f"the header has {found!r} in its place")
    if len(cells) != len(COLUMNS):
        raise ArchiveError(path, 1, COLUMNS[-1], f"{len(cells)} columns instead of {len(COLUMNS)}")


def _check_order(path: Path, line: int, previous: _Row, row: _Row) -> None:
    if row[0] != previous[0] + 1:
        raise ArchiveError(path, line, "id", f"{row[0]} follows {previous[0]}; ids have to be consecutive")
    if row[3] < previous[3]:
        raise ArchiveError(path, line, "time", "earlier than the trade before; times must not go back")


def _row(path: Path, line: int, cells: list[str]) -> _Row:
    if len(cells) != len(COLUMNS):
        column = COLUMNS[min(len(cells), len(COLUMNS) - 1)]
        raise ArchiveError(path, line, column, f"{len(cells)} columns instead of {len(COLUMNS)}: {','.join(COLUMNS)}")

    def whole(position: int) -> int:
        if not _WHOLE.match(cells[position].strip()):
            raise ArchiveError(path, line, COLUMNS[position], f"{cells[position]!r} is not a whole number")
        return int(cells[position])

    def units(position: int) -> int:
        match = _DECIMAL.match(cells[position].strip())
        value = int(match[1]) * UNITS + int((match[2] or "").ljust(8, "0")) if match else 0
        if not 0 < value < 2**63:
            detail = f"{cells[position]!r} is not a positive number with at most 8 decimals"
            raise ArchiveError(path, line, COLUMNS[position], detail)
        return value

    def truth(position: int) -> bool:
        if (value := _TRUTH.get(cells[position].strip().lower())) is None:
            raise ArchiveError(path, line, COLUMNS[position], f"{cells[position]!r} is neither True nor False")
        return value

    def microseconds(position: int) -> int:
        time = whole(position)
        return time if time >= _FIRST_MICROSECONDS else time * 1000

    return whole(0), units(1), units(2), microseconds(4), truth(5), truth(6)
