"""The commands about the guardrails: what is off, running or waiting, what was done, and the switches."""

from __future__ import annotations

import getpass
import re
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer
from rich.markup import escape

from include.guardrails.model import ALL, ActionState, Switch
from include.playbook.playbook import load_playbook
from include.playbook_command.cells import in_utc
from include.playbook_command.console import console, guardrails_of_settings, incident_store, refuse

_LOOKED_AT = 1000  # actions: far more than any limit reaches back
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_DURATION = re.compile(r"(?:\d+[smhd])+")
_LONGEST = timedelta(days=365)

Scenario = Annotated[str, typer.Option(help="Only this scenario, for example kafka_lag; everything without it.")]
By = Annotated[str, typer.Option(help="Who does it; your login on this machine without it.")]


def add_to(app: typer.Typer) -> None:
    """Make them commands of ``app``."""
    for command in (guardrails, actions, pause, resume):
        app.command()(command)


def guardrails() -> None:
    """Show what is switched off, what is running, and what has to wait."""
    from include.playbook_command.guardrail_view import guardrail_page

    playbook = load_playbook()
    with guardrails_of_settings() as found:
        for part in guardrail_page(found, playbook, _now(), _LOOKED_AT):
            console.print(part)


def actions(
    incident: Annotated[str, typer.Option(help="Only those of this incident, for example INC-2026-0001.")] = "",
    limit: Annotated[int, typer.Option(help="How many at most.", min=1, max=10_000)] = 20,
) -> None:
    """List what automation has done, newest first."""
    from include.playbook_command.guardrail_view import action_table

    if incident:
        with incident_store() as store:
            store.incident(incident)  # a wrong number is not an incident without actions
    with guardrails_of_settings() as found:
        done = found.actions(incident_id=incident or None, limit=limit)
    if not done:
        console.print(f"Nothing was done{f' for {escape(incident)}' if incident else ''}.")
        return
    console.print(action_table(done))


def pause(
    reason: Annotated[str, typer.Option(help="Why; whoever looks next reads it.")],
    scenario: Scenario = "",
    duration: Annotated[
        str, typer.Option("--for", help="For how long, for example 30m, 2h or 1d; until it is resumed without it.")
    ] = "",
    by: By = "",
) -> None:
    """Switch automation off: of one scenario, or all of it (the kill switch). Watching goes on."""
    from include.playbook_command.guardrail_view import scope_in_words

    scope = _scope(scenario)
    until = _now() + _length(duration) if duration else None
    with guardrails_of_settings() as found:
        switch = found.pause(scope, reason=reason, by=_person(by), until=until)
        running = [each for each in found.actions(limit=_LOOKED_AT) if each.state is ActionState.RUNNING]
    console.print(f"[bold red]{scope_in_words(scope)} is off[/] {_until(switch)}", soft_wrap=True)
    for each in running:
        if scope in (ALL, each.scenario):
            console.print(f"What has begun is finished first: {each.rung} on {each.target} for {each.incident_id}.")
    option = "" if scope == ALL else f" --scenario {scope}"
    console.print(f"To switch it on again: bin/playbook resume{option}")


def resume(scenario: Scenario = "", by: By = "") -> None:
    """Switch automation on again; a scenario that was switched off by itself stays off."""
    from include.playbook_command.guardrail_view import scope_in_words, switches_table

    scope = _scope(scenario)
    with guardrails_of_settings() as found:
        was_off = found.resume(scope, by=_person(by))
        left = found.switches()
    words = scope_in_words(scope)
    console.print(f"[green]{words} is switched on again.[/]" if was_off else f"{words} was not switched off.")
    if left:
        console.print("Still off:")
        console.print(switches_table(left))


def _scope(scenario: str) -> str:
    """Raises :class:`~include.playbook.errors.UnknownScenarioError`, which names those that there are."""
    return load_playbook().scenario(scenario).id.value if scenario else ALL


def _length(duration: str) -> timedelta:
    """``1h30m`` and the like."""
    text = duration.strip().lower()
    if not _DURATION.fullmatch(text):
        refuse(f"--for {duration}: not a length of time. Allowed: numbers with s, m, h or d, for example 30m or 1h30m.")
    parts = re.findall(r"(\d+)([smhd])", text)
    try:
        length = sum((timedelta(**{_UNITS[unit]: int(number)}) for number, unit in parts), timedelta())
    except OverflowError:
        length = timedelta.max
    if not timedelta() < length <= _LONGEST:
        refuse(f"--for {duration}: allowed is more than nothing and at most {_LONGEST.days} days.")
    return length


def _until(switch: Switch) -> str:
    if switch.until is None:
        return "until it is resumed."
    return f"until {in_utc(switch.until)} UTC."


def _person(by: str) -> str:
    if by.strip():
        return by.strip()
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container without a name for its user
        refuse("Nobody knows your login here. Say who you are: --by NAME")


def _now() -> datetime:
    return datetime.now(UTC)
