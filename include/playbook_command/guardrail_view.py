"""The guardrails on a terminal: what is switched off, what runs, what must wait, and what was done."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from rich.console import RenderableType
from rich.markup import escape
from rich.table import Table

from include.guardrails import limits
from include.guardrails.guardrails import Guardrails
from include.guardrails.model import ALL, Action, ActionState, Limits, Refusal, Switch
from include.playbook.ladder import Rung, RungId
from include.playbook.names import Component
from include.playbook.playbook import Playbook
from include.playbook.remedies import span
from include.playbook_command.cells import in_utc, plain_table, spaced

_STATE_COLOURS = {
    ActionState.RUNNING: "cyan",
    ActionState.SUCCEEDED: "green",
    ActionState.FAILED: "red",
    ActionState.ROLLED_BACK: "yellow",
    ActionState.ABANDONED: "yellow",
}
_CHANGES = 5  # of the switches, the newest ones


@dataclass(frozen=True, slots=True)
class Wait:
    """A rung that may not begin on ``target`` before ``until``, and which limit says so."""

    rung: RungId
    target: Component
    limit: Refusal
    until: datetime


def waits(actions: Iterable[Action], playbook: Playbook, now: datetime) -> tuple[Wait, ...]:
    """The longest wait of each rung and target, as far as ``actions`` (newest first) tell; soonest over first."""
    rungs = {rung.id: rung for scenario in playbook.scenarios.values() for rung in scenario.ladder}
    done: dict[tuple[RungId, Component], list[Action]] = {}
    for action in actions:
        done.setdefault((action.rung, action.target), []).append(action)
    found = (_wait(rungs[key[0]], own, now) for key, own in done.items() if key[0] in rungs)
    return tuple(sorted((each for each in found if each), key=lambda each: each.until))


def _wait(rung: Rung, own: list[Action], now: datetime) -> Wait | None:
    allowed = Limits(rung.cooldown_seconds, rung.hourly_budget)
    past = limits.Past(
        starts=tuple(each.started_at for each in own),
        ended=tuple(limits.Ended(each.state, each.ended_at) for each in own if each.ended_at),
    )
    by_limit = {
        Refusal.COOLDOWN: limits.cooldown_until(past, allowed, now),
        Refusal.BUDGET: limits.budget_until(past, allowed, now),
        Refusal.BREAKER_OPEN: limits.breaker_until(past, allowed, now),
    }
    until = {limit: end for limit, end in by_limit.items() if end}
    if not until:
        return None
    longest = max(until, key=until.__getitem__)
    return Wait(rung.id, own[0].target, longest, until[longest])


def guardrail_page(guardrails: Guardrails, playbook: Playbook, now: datetime, most: int) -> Iterator[RenderableType]:
    """The parts of the page; of the actions the newest ``most`` are looked at."""
    actions = guardrails.actions(limit=most)
    switches = guardrails.switches()
    yield switches_table(switches) if switches else "[green]Automation is on[/], for every scenario."
    running = [action for action in actions if action.state is ActionState.RUNNING]
    yield from _part("Running now", action_table(running), running, "No action is running.")
    leases = guardrails.leases()
    held = plain_table("process", "until (UTC)", "what for", "in the hands of")
    for lease in leases:
        held.add_row(escape(lease.service), in_utc(lease.expires_at), escape(lease.purpose), escape(lease.holder))
    yield from _part("Processes in somebody's hands", held, leases, "No process is in anybody's hands.")
    waiting = waits(actions, playbook, now)
    later = plain_table("step", "on", "not before (UTC)", "because")
    for each in waiting:
        left = span(round((each.until - now).total_seconds()))
        later.add_row(each.rung, each.target, f"{in_utc(each.until)}, in {left}", _BECAUSE[each.limit])
    yield from _part("Must wait", later, waiting, "No step has to wait.")
    if changes := guardrails.switch_changes(_CHANGES):
        history = plain_table("at (UTC)", "automation of", "was switched", "by", "reason")
        for change in changes:
            on = "[red]off[/]" if change.off else "[green]on[/]"
            history.add_row(in_utc(change.at), _scope(change.scope), on, escape(change.by), escape(change.reason))
        yield from _part("Switched lately", history, changes, "")


def switches_table(switches: Iterable[Switch]) -> Table:
    """What is switched off, in the given order."""
    shown = plain_table("[bold red]switched off[/]", "since (UTC)", "until (UTC)", "by", "reason")
    for switch in switches:
        until = in_utc(switch.until) if switch.until else "it is resumed"
        shown.add_row(_scope(switch.scope), in_utc(switch.since), until, escape(switch.by), escape(switch.reason))
    return shown


def action_table(actions: Iterable[Action]) -> Table:
    """One row each, in the given order."""
    shown = plain_table("no.", "begun (UTC)", "step", "on", "incident", "for", "state", "took", "what became of it")
    for each in actions:
        state = f"[{_STATE_COLOURS[each.state]}]{spaced(each.state)}[/]"
        took = span(round((each.ended_at - each.started_at).total_seconds(), 1)) if each.ended_at else ""
        who = (each.rung, each.target, each.incident_id, escape(each.requested_by))
        shown.add_row(str(each.id), in_utc(each.started_at), *who, state, took, escape(each.text))
    return shown


def scope_in_words(scope: str) -> str:
    """``All automation``, or that of one scenario."""
    return "All automation" if scope == ALL else f"Automation of {scope}"


_BECAUSE = {
    Refusal.COOLDOWN: "it was done a moment ago (cooldown)",
    Refusal.BUDGET: "it was done as often as allowed within an hour (budget)",
    Refusal.BREAKER_OPEN: "it did not help several times in a row (breaker)",
}


def _scope(scope: str) -> str:
    return "everything" if scope == ALL else scope


def _part(title: str, shown: Table, items: Iterable[object], nothing: str) -> Iterator[RenderableType]:
    if items:
        yield f"[bold]{title}[/]"
        yield shown
    else:
        yield nothing
