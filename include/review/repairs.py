"""What repairs of the data did, from their lines in the timeline."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from include.incidents.model import Entry
from include.review.document import Figure, FigureKey
from include.review.words import entry_refs

_NO_REPAIR = "no repair is on record"
_NOT_TOLD = "the repair does not say"


@dataclass(frozen=True, slots=True)
class Repairs:
    """All repairs of an incident together. ``wrong_before`` is what the first one found, ``wrong_after`` what the last
    one left: windows that are missing, wrong or too many. ``None``: it does not say. ``proved``: the last one compared
    the tables with the exchange's ledger, and they were equal.
    """

    entries: tuple[Entry, ...]
    missing: int | None
    repaired: int | None
    lost: int | None
    wrong_before: int | None
    wrong_after: int | None
    proved: bool


def repairs(entries: Iterable[Entry]) -> Repairs | None:
    """From the entries of kind REPAIRED, whose data are made by :func:`include.repair.words.report_data`. ``None``:
    there was no repair.
    """
    told = tuple(entries)
    if not told:
        return None
    reports = [entry.data for entry in told]
    return Repairs(
        entries=told,
        missing=_missing(reports),
        repaired=_sum(_number(report, "published") for report in reports),
        lost=_number(reports[-1], "unrecoverable"),
        wrong_before=_wrong(reports[0].get("before")),
        wrong_after=_wrong(reports[-1].get("after")),
        proved=reports[-1].get("equal") is True,
    )


def repair_figures(found: Repairs | None) -> tuple[Figure, ...]:
    """Trades and windows, in numbers."""
    rows = (
        (FigureKey.TRADES_MISSING, "Trades that the tables lacked", found and found.missing, "trades"),
        (FigureKey.TRADES_REPAIRED, "Trades brought back", found and found.repaired, "trades"),
        (FigureKey.TRADES_LOST, "Trades lost for good", found and found.lost, "trades"),
        (FigureKey.WINDOWS_WRONG_BEFORE, "Windows not right before repair", found and found.wrong_before, "windows"),
        (FigureKey.WINDOWS_WRONG_AFTER, "Windows not right after repair", found and found.wrong_after, "windows"),
    )
    refs = entry_refs(found.entries) if found else ()
    why = _NOT_TOLD if found else _NO_REPAIR
    return tuple(
        Figure(key=key, label=label, value=value, unit=unit, note=why if value is None else "", evidence=refs)
        for key, label, value, unit in rows
    )


def _missing(reports: Iterable[Mapping[str, Any]]) -> int | None:
    """What a repair left is found by the next one again, and counted once."""
    found, left = None, 0
    for report in reports:
        if (missing := _number(report, "missing_trades")) is not None:
            found = (found or 0) + max(0, missing - left)
        left = (_number(report, "still_missing") or 0) + (_number(report, "unrecoverable") or 0)
    return found


def _wrong(comparison: object) -> int | None:
    if not isinstance(comparison, Mapping):
        return None
    numbers = [_number(comparison, name) for name in ("missing", "wrong", "extra")]
    return _sum(numbers)


def _number(data: Mapping[str, Any], name: str) -> int | None:
    value = data.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _sum(numbers: Iterable[int | None]) -> int | None:
    known = [number for number in numbers if number is not None]
    return sum(known) if known else None
