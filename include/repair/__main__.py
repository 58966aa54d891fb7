"""``python -m include.repair --from … --to …``: repair the data of a time, or look whether that is needed."""

from __future__ import annotations

import getpass
import sys
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from include.repair.errors import RepairError
from include.repair.model import Comparison, IdGap, RepairReport, Span
from include.repair.repair import Repair
from include.repair.span import moment_of, span_of
from include.repair.words import comparison_text, gap_text, span_text
from include.settings import Settings, load_settings
from include.settings_errors import SettingsError
from include.stack.running import remembered

DIFFERS, REFUSED = 1, 2  # exit codes

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
console = Console(highlight=False)


@app.command()
def repair(
    *,
    start: Annotated[str, typer.Option("--from", help="First minute, UTC, for example 2026-11-24T10:00.")],
    end: Annotated[str, typer.Option("--to", help="First minute behind it, UTC; now without it.")] = "",
    symbols: Annotated[str, typer.Option(help="Comma-separated; all that are followed without it.")] = "",
    check: Annotated[bool, typer.Option("--check", help="Only look; change nothing.")] = False,
    recompute: Annotated[bool, typer.Option("--recompute", help="Recompute the windows even if none differs.")] = False,
    incident: Annotated[str, typer.Option(help="Incident whose timeline gets the figures.")] = "",
) -> None:
    """Make the tables of a time what the exchange's ledger says: fetch missing trades by their ids, publish them,
    recompute wrong windows, and prove the result row by row. Safe to repeat, and to interrupt.

    Exit code 0: the tables equal the exchange's ledger; 1: they do not; 2: it could not be done.
    """
    settings = remembered(load_settings())
    span = _span(start, end, symbols, settings)
    console.print(span_text(span))
    if check:
        gaps, comparison = Repair(settings).find(span, _say)
        console.print(_check_table(gaps, comparison))
        raise typer.Exit(0 if comparison.equal and not gaps else DIFFERS)
    report = Repair(settings).run(
        span, by=getpass.getuser(), incident_id=incident or None, progress=_say, recompute=recompute
    )
    console.print(_report_table(report))
    raise typer.Exit(0 if report.whole else DIFFERS)


def _span(start: str, end: str, symbols: str, settings: Settings) -> Span:
    now = datetime.now(UTC)
    names = [name.strip() for name in symbols.split(",") if name.strip()]
    span = span_of(moment_of(start), moment_of(end) if end else now, names, settings)
    if span.start > now:
        raise RepairError(f"{span.start:%Y-%m-%d %H:%M} UTC is not over yet; it is {now:%Y-%m-%d %H:%M} UTC.")
    return span


def _say(text: str) -> None:
    console.print(f"[dim]{datetime.now(UTC):%H:%M:%S}[/] {text}")


def _check_table(gaps: tuple[IdGap, ...], comparison: Comparison) -> Table:
    missing = sum(gap.trades for gap in gaps)
    rows = {"missing trades": f"{missing:,}" + (f": {gap_text(gaps)}" if gaps else "")}
    return _table({**rows, "tables": comparison_text(comparison)}, comparison)


def _report_table(report: RepairReport) -> Table:
    rows = {
        "missing trades": f"{report.missing_trades:,}" + (f": {gap_text(report.gaps)}" if report.gaps else ""),
        "fetched, published": f"{report.fetched:,}, {report.published:,}",
        "recomputed windows": f"{report.recomputed_windows:,} ({report.facts['recomputation'].replace('_', ' ')})",
        "no longer to be had": f"{report.unrecoverable:,}"
        + (f": {lost}" if (lost := report.facts.get("lost")) else ""),
        "before": comparison_text(report.before),
        "after": comparison_text(report.after),
        "seconds": f"{report.seconds:.1f}",
    }
    if unproved := report.facts["unproved_rows"]:
        rows["not provable"] = f"{unproved:,} rows: the exchange no longer has all their trades"
    return _table(rows, report.after)


def _table(rows: dict[str, str], comparison: Comparison) -> Table:
    table = Table(show_header=False, box=None, pad_edge=False)
    for name, text in rows.items():
        table.add_row(f"[bold]{name}[/]", text)
    for text in comparison.differing:
        table.add_row("", text)
    return table


def main() -> None:
    """Run the command; failures that a person can act on are said in one line."""
    try:
        app()
    except (SettingsError, RepairError) as error:
        Console(stderr=True, highlight=False).print(str(error), markup=False)
        sys.exit(REFUSED)


if __name__ == "__main__":
    main()
