"""Evidence and reviews on the command line: ``python -m include.review --help``."""

from __future__ import annotations

import sys
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.markup import escape

from include.review.errors import ReviewError
from include.review.review_commands import review_app
from include.settings import load_settings
from include.settings_errors import SettingsError

DIFFERS, REFUSED = 1, 2  # exit codes: what was checked is not right; the question cannot be answered

app = typer.Typer(
    help="The evidence of an incident, and its review.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(review_app)
console = Console(highlight=False)


@app.callback()
def _commands() -> None:
    """So that commands are named even while there is only one."""


@app.command()
def evidence(
    incident: Annotated[str, typer.Argument(help="Incident, for example INC-2026-0001.")],
    verify: Annotated[bool, typer.Option("--verify", help="Compare every file with its hash; exit with 1.")] = False,
) -> None:
    """Show what was collected for an incident, and with --verify whether anybody changed it since."""
    from contextlib import closing

    from include.incidents.factory import store_from_settings
    from include.review.evidence_store import manifests
    from include.review.evidence_view import check, page, verdict

    settings = load_settings()
    found = manifests(settings, incident)
    if not found:
        refuse(f"No evidence was collected for {incident}.")
    if not verify:
        for part in (part for manifest in found for part in page(settings, manifest)):
            console.print(part, soft_wrap=isinstance(part, str))
        return
    with closing(store_from_settings(settings)) as store:
        results = [check(settings, store, manifest) for manifest in found]
    for each in results:
        console.print(verdict(each), soft_wrap=True)
    if any(each.changed or each.problem for each in results):
        raise typer.Exit(DIFFERS)


def refuse(text: str) -> NoReturn:
    """Say why there is no answer."""
    console.print(f"[red]✗[/] {escape(text)}", soft_wrap=True)
    raise typer.Exit(REFUSED)


def main() -> None:
    """Run the command line; a problem that a person can solve is a message, not a traceback."""
    try:
        app()
    except (ReviewError, SettingsError) as error:
        console.print(f"[red]✗[/] {escape(str(error))}", soft_wrap=True)
        sys.exit(REFUSED)


if __name__ == "__main__":
    main()
