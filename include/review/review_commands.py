"""Reviews on the command line: ``python -m include.review draft|show|list|export``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from include.review.errors import ReviewError
from include.settings import load_settings

if TYPE_CHECKING:
    from include.review.model import Review
    from include.review.reviews import Reviews

review_app = typer.Typer()
console = Console(highlight=False)

Incident = Annotated[str, typer.Argument(help="Incident, for example INC-2026-0001.")]


@review_app.command()
def draft(incident: Incident) -> None:
    """Draft the review of a resolved incident, or show which draft waits."""
    with _reviews() as reviews:
        review = reviews.draft(incident)
    console.print(f"{review.id}  {_words(review)}", soft_wrap=True)
    console.print(f"To read it: python -m include.review show {escape(incident)}", soft_wrap=True)


@review_app.command()
def show(
    incident: Incident,
    html: Annotated[bool, typer.Option("--html", help="As a page of HTML.")] = False,
) -> None:
    """Print the newest version of a review."""
    from include.review.render import render_html, render_markdown

    with _reviews() as reviews:
        review = reviews.latest(incident)
    if review is None:
        raise ReviewError(f"{incident} has no review yet. To draft it: python -m include.review draft {incident}")
    sys.stdout.write(render_html(review) if html else render_markdown(review))


@review_app.command("list")
def list_reviews(
    limit: Annotated[int, typer.Option(min=1, help="Most versions shown.")] = 30,
) -> None:
    """List the versions of reviews, newest first, and the incidents that wait for one."""
    with _reviews() as reviews:
        newest, waiting = reviews.newest(limit), reviews.waiting()
    table = Table(box=None, padding=(0, 1), header_style="dim")
    for column in ("review", "severity", "state", "drafted (UTC)", "answered by"):
        table.add_column(column, no_wrap=True)
    for each in newest:
        by = escape(each.answer.by) if each.answer else ""
        drafted = f"{each.drafted_at:%Y-%m-%d %H:%M:%S}"
        table.add_row(each.id, each.document.severity.label, _words(each), drafted, by)
    console.print(table if newest else "There are no reviews.")
    for incident in waiting:
        console.print(f"{incident.id} waits to be drafted ({incident.severity.label}).")


@review_app.command("export")
def export_review(
    incident: Incident, folder: Annotated[Path, typer.Argument(help="Where the Markdown is copied to.")]
) -> None:
    """Copy a published review without anything of this machine, to be shown to others."""
    from include.review.export import export

    settings = load_settings()
    with _reviews() as reviews:
        published = reviews.published(incident)
    if published is None:
        raise ReviewError(f"{incident} has no published review.")
    console.print(str(export(published, folder, settings)), soft_wrap=True)


@contextmanager
def _reviews() -> Iterator[Reviews]:
    """Their store, closed at the end; its refusals are messages."""
    from contextlib import closing

    from include.incidents.errors import IncidentStoreError
    from include.review.reviews import Reviews

    try:
        with closing(Reviews(load_settings())) as reviews:
            yield reviews
    except IncidentStoreError as error:
        raise ReviewError(str(error)) from error


def _words(review: Review) -> str:
    return review.state.replace("_", " ")
