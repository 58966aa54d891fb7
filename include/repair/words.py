"""A repair in words and figures: for a timeline, a task's log, a person."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from include.repair.model import Comparison, IdGap, RepairReport, Span

_NAMED = 20


def span_text(span: Span) -> str:
    """A time and its symbols."""
    return f"{span.start:%Y-%m-%d %H:%M} to {span.end:%Y-%m-%d %H:%M} UTC, {', '.join(span.symbols)}"


def gap_text(gaps: Iterable[IdGap]) -> str:
    """Ids, by symbol; of many the first."""
    own = list(gaps)
    words = [f"{g.symbol} {g.first}" + (f" to {g.last}" if g.last > g.first else "") for g in own[:_NAMED]]
    return ", ".join(words) + (f" and {len(own) - _NAMED} more" if len(own) > _NAMED else "")


def comparison_text(comparison: Comparison) -> str:
    """What the proof came to."""
    if not comparison.windows:
        return "there was nothing to compare"
    if comparison.equal:
        return f"all {comparison.windows:,} rows equal the exchange's ledger"
    parts = {"missing": comparison.missing, "wrong": comparison.wrong, "too many": comparison.extra}
    figures = ", ".join(f"{count:,} {word}" for word, count in parts.items() if count)
    return f"{figures} of {comparison.windows:,} rows"


def report_text(report: RepairReport) -> str:
    """One sentence of fact."""
    found = f"{report.missing_trades:,} trades were missing" if report.gaps else "no trade was missing"
    lost = f", {report.unrecoverable:,} of them are no longer to be had" if report.unrecoverable else ""
    windows = f"; {report.recomputed_windows:,} windows recomputed" if report.recomputed_windows else ""
    return (
        f"Data of {span_text(report.span)}: {found}{lost}, {report.published:,} published{windows}; "
        f"{comparison_text(report.after)} ({report.seconds:.1f} s)."
    )


def report_data(report: RepairReport) -> dict[str, Any]:
    """The figures, as JSON values."""
    return {
        "from": report.span.start,
        "to": report.span.end,
        "symbols": report.span.symbols,
        "missing_trades": report.missing_trades,
        "gaps": gap_text(report.gaps),
        "fetched": report.fetched,
        "published": report.published,
        "recomputed_windows": report.recomputed_windows,
        "unrecoverable": report.unrecoverable,
        "before": _figures(report.before),
        "after": _figures(report.after),
        "equal": report.after.equal,
        "seconds": report.seconds,
        **report.facts,
    }


def _figures(comparison: Comparison) -> dict[str, Any]:
    return {
        "rows": comparison.windows,
        "missing": comparison.missing,
        "wrong": comparison.wrong,
        "extra": comparison.extra,
        "differing": comparison.differing,
    }
