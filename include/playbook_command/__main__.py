"""The playbook's command line: ``bin/playbook --help``.

Stands beside the rooms because it shows two of them: the playbook, and the incidents that came of it.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from include.playbook.errors import PlaybookError
from include.playbook.playbook import load_playbook
from include.playbook_command import guardrail_commands
from include.playbook_command.console import DIFFERS, REFUSED, console, incident_store
from include.settings_errors import SettingsError

if TYPE_CHECKING:
    from include.incidents.store import IncidentStore

app = typer.Typer(
    help="Read the playbook, its incidents and what was done about them; switch automation off and on.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.command()
def explain(scenario: Annotated[str, typer.Argument(help="Scenario, for example kafka_down.")]) -> None:
    """Show what is watched, how it is decided, who would be told and what would run."""
    from include.playbook.explain import explanation

    playbook = load_playbook()
    for part in explanation(playbook, playbook.scenario(scenario)):
        console.print(part)


@app.command()
def runbooks(
    check: Annotated[bool, typer.Option("--check", help="Write nothing; exit with 1 if a page differs.")] = False,
) -> None:
    """Write docs/runbooks from the playbook's data."""
    from include.playbook.render import COMMAND, differing_pages, write_pages

    playbook = load_playbook()
    names = differing_pages(playbook) if check else write_pages(playbook)
    what = "Not what the data says" if check else "Rewritten"
    console.print(f"{what}: {', '.join(names)}" if names else "Every page is what the data says.")
    if check and names:
        console.print(f"To rewrite them: {COMMAND}")
        raise typer.Exit(DIFFERS)


@app.command("verify-timeline")
def verify_timeline(
    incident: Annotated[str, typer.Argument(help="Incident, for example INC-2026-0001; all without it.")] = "",
) -> None:
    """Check the timelines against their hash chains; exits with 1 if anything was changed, moved or removed."""
    with incident_store() as store:
        findings = store.verify(incident or None)
        names = [incident] if incident else _all_names(store)
    broken = {finding.incident_id for finding in findings}
    for name in sorted(set(names) - broken):
        console.print(f"{escape(name)}  [green]OK[/]")
    for finding in findings:
        console.print(f"[red]✗[/] {escape(str(finding))}", soft_wrap=True)
    if not names and not findings:
        console.print("There are no incidents.")
    if findings:
        raise typer.Exit(DIFFERS)


@app.command()
def incidents(
    only_open: Annotated[bool, typer.Option("--open", help="Only those that are open.")] = False,
    limit: Annotated[int, typer.Option(help="How many at most.", min=1, max=10_000)] = 20,
) -> None:
    """List the newest incidents."""
    from include.playbook_command.incident_view import incident_table

    with incident_store() as store:
        found = tuple(reversed(store.open_incidents()))[:limit] if only_open else store.recent(limit=limit)
    if not found:
        console.print("No incident is open." if only_open else "There are no incidents.")
        return
    console.print(incident_table(found))


@app.command()
def show(incident: Annotated[str, typer.Argument(help="Incident, for example INC-2026-0001.")]) -> None:
    """Show one incident: timeline, symptoms, hand-overs and decisions."""
    from include.playbook_command.incident_view import incident_page

    with incident_store() as store:
        for part in incident_page(store, incident):
            console.print(part)


def _all_names(store: IncidentStore) -> list[str]:
    from include.incidents.errors import CorruptStoreError

    try:
        return [each.id for each in store.recent(limit=1_000_000)]
    except CorruptStoreError:  # a row that cannot even be read is among the findings
        return []


guardrail_commands.add_to(app)


def main() -> None:
    """Run the command line; a problem that a person can solve is a message, not a traceback."""
    try:
        app()
    except (PlaybookError, SettingsError) as error:
        console.print(f"[red]✗[/] {escape(str(error))}", soft_wrap=True)
        sys.exit(REFUSED)


if __name__ == "__main__":
    main()
