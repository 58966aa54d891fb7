"""The impact in numbers (design §1): how long, how late, how many rows and trades, each with where it comes from."""

from __future__ import annotations

from include.incidents.model import EntryKind
from include.review.document import (
    Fact,
    Figure,
    FigureKey,
    NotKnown,
    Reference,
    ReferenceKind,
    Statement,
    Statements,
)
from include.review.freshness import Freshness
from include.review.material import Material, Missing, RowFigures
from include.review.milestones import durations, milestones, seconds_between
from include.review.repairs import repair_figures, repairs
from include.review.words import clock_time, counted, entry_refs, first_line, moment

_LEDGER = Reference(kind=ReferenceKind.TABLE, name="batch_ledger")
VOLATILE = frozenset({FigureKey.NEWEST_ROW_AGE})  # another at each look: no reason for another draft


def figures(material: Material) -> tuple[Figure, ...]:
    """All numbers, in the order in which they are shown."""
    return (
        *durations(milestones(material)),
        *_row_figures(material),
        *repair_figures(repairs(material.entries(EntryKind.REPAIRED))),
    )


def impact_words(material: Material) -> Statements:
    """Where the numbers come from, and what the watch said about harm while it lasted."""
    harm = [
        entry
        for entry in material.entries(EntryKind.SEVERITY_RAISED)
        if any(text and entry.text.startswith(text) for text in material.harm)
    ]
    told = tuple(
        Fact(text=f"{clock_time(entry.event_at)} UTC: {first_line(entry.text)}", evidence=entry_refs([entry]))
        for entry in harm
    )
    return (_counted_from(material), *told)


def _counted_from(material: Material) -> Statement:
    if isinstance(material.rows, Missing):
        return NotKnown(text=f"Rows and trades that were late are not counted: {material.rows.why}.")
    incident = material.incident
    batches = counted(material.rows.batches, "micro-batch", "micro-batches")
    until = moment(incident.resolved_at or material.now)
    text = f"Rows and trades are counted from {batches} committed from {moment(incident.onset_at)} to {until}."
    return Fact(text=text, evidence=(_LEDGER,))


def _row_figures(material: Material) -> tuple[Figure, ...]:
    rows = material.rows
    if isinstance(rows, Missing):
        return tuple(
            Figure(key=key, label=label, value=None, unit=unit, note=f"not available: {rows.why}")
            for key, label, unit in _labels(material)
        )
    values = _values(material, rows)
    found = []
    for key, label, unit in _labels(material):
        value, note = values[key]
        evidence = () if key is FigureKey.NEWEST_ROW_AGE else (_LEDGER,)
        found.append(Figure(key=key, label=label, value=value, unit=unit, note=note, evidence=evidence))
    return tuple(found)


def _labels(material: Material) -> tuple[tuple[FigureKey, str, str], ...]:
    target = f"{material.target_seconds:g} s"
    return (
        (FigureKey.FRESHNESS_BREACH, f"Averages older than {target} (freshness breach)", "s"),
        (FigureKey.LONGEST_AGE, "Greatest age of the averages", "s"),
        (FigureKey.ROWS_LATE, f"Rows late (averages written after more than {target})", "rows"),
        (FigureKey.TRADES_LATE, f"Trades late (counted after more than {target})", "trades"),
        (FigureKey.TRADES_AFTER_WATERMARK, "Trades that came after their window was final", "trades"),
        (FigureKey.WINDOWS_CORRECTED, "Final windows corrected by them", "windows"),
        (FigureKey.NEWEST_ROW_AGE, "Age of the newest row when this was drafted", "s"),
    )


def _values(material: Material, rows: RowFigures) -> dict[FigureKey, tuple[float | int | None, str]]:
    fresh, how = rows.freshness, _how(rows.freshness)
    nothing = (None, "not available: the ledger has no micro-batch before the end of the incident")
    age = seconds_between(rows.newest_update, material.now)
    age = None if age is None else max(age, 0.0)  # written by another machine's clock
    return {
        FigureKey.FRESHNESS_BREACH: (round(fresh.breach_seconds, 1), how) if fresh else nothing,
        FigureKey.LONGEST_AGE: (round(fresh.longest_seconds, 1), how) if fresh else nothing,
        FigureKey.ROWS_LATE: (fresh.late_rows, "") if fresh else nothing,
        FigureKey.TRADES_LATE: (fresh.late_trades, "") if fresh else nothing,
        FigureKey.TRADES_AFTER_WATERMARK: (rows.after_watermark, ""),
        FigureKey.WINDOWS_CORRECTED: (rows.windows_corrected, ""),
        FigureKey.NEWEST_ROW_AGE: (age, "not available: the table is empty" if age is None else ""),
    }


def _how(fresh: Freshness | None) -> str:
    if fresh is None:
        return ""
    return "counted from the newest trade" if fresh.by_trades else "counted from the last write"
