"""What the commands on actions do, within one transaction; see :class:`include.guardrails.guardrails.Guardrails`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from include.guardrails import limits
from include.guardrails.book import GuardBook, RefusalKey
from include.guardrails.errors import GuardrailError, UnknownActionError
from include.guardrails.judging import Situation, figures, judge, lifted
from include.guardrails.model import Action, ActionRequest, ActionState, Lease, Refusal, Refused
from include.guardrails.settling import (
    ACTOR,
    Alive,
    Dead,
    about,
    dead_actions,
    finish,
    in_the_way,
    is_free,
    lock,
    settle,
    tell,
)
from include.guardrails.switching import switched_off
from include.incidents.entry_data import check_data, clean_text
from include.incidents.errors import UnknownIncidentError
from include.incidents.model import EntryKind, NewEntry

AUTOMATION = "health"  # who asks, when no person does


def check(book: GuardBook, request: ActionRequest, now: datetime, alive: Alive) -> Refused | None:
    """See the protocol. What is dead is looked at as if it had been settled."""
    _check_request(request)
    running = book.running()
    dead = in_the_way(request, running, now, alive)
    return judge(request, _situation(book, request, running, dead, now=now, alive=alive), now)


def begin(book: GuardBook, request: ActionRequest, now: datetime, alive: Alive) -> Action | Refused:
    """See the protocol."""
    _check_request(request)
    running = book.running()
    dead = in_the_way(request, running, now, alive)
    lock(book, {request.incident_id, *(each.action.incident_id for each in dead)})
    situation = _situation(book, request, running, dead, now=now, alive=alive)
    settle(book, dead, now)
    refused = judge(request, situation, now)
    action = None if refused else book.add(_action(request, now))
    if action is None:
        refused = refused or Refused(Refusal.TARGET_BUSY, f"{request.target} is being worked on by somebody else.")
        _tell_refusal(book, request, refused, now)
        return refused
    _lease_services(book, action)
    _tell_start(book, action, lifted(request, situation, now))
    return action


def end(
    book: GuardBook, action_id: int, state: ActionState, *, text: str, data: Mapping[str, Any], now: datetime
) -> Action:
    """See the protocol."""
    if state is ActionState.RUNNING:
        raise GuardrailError(f"Action {action_id} cannot end as {state}.")
    action = book.action(action_id)
    if action is None:
        raise UnknownActionError(f"There is no action {action_id}.")
    if action.state is not ActionState.RUNNING:
        return action
    return finish(book, action, state, text=clean_text(text), now=now, actor=action.requested_by, data=check_data(data))


def settle_all(book: GuardBook, now: datetime, alive: Alive) -> tuple[Action, ...]:
    """See the protocol; leases that nobody has any more are removed too."""
    dead = dead_actions(book.running(), now, alive)
    settled = settle(book, dead, now)
    for lease in book.leases():
        if is_free(lease, now, alive):
            book.drop_lease(lease.service)
    return settled


def _check_request(request: ActionRequest) -> None:
    most, failures = request.limits.hourly_budget, request.limits.breaker_failures
    if request.lease_seconds <= 0 or request.limits.cooldown_seconds < 0 or most < 1 or failures < 1:
        raise GuardrailError(
            f"{request.rung}: lease ({request.lease_seconds:g} s), hourly budget ({most}) and breaker ({failures}"
            f" failures) are above zero, the cooldown ({request.limits.cooldown_seconds:g} s) is not below it."
        )
    if request.overrides and request.requested_by == AUTOMATION:
        raise GuardrailError(f"{request.rung}: only a person can take limits on themselves, not {AUTOMATION}.")


def _situation(
    book: GuardBook,
    request: ActionRequest,
    running: Iterable[Action],
    dead: Iterable[Dead],
    *,
    now: datetime,
    alive: Alive,
) -> Situation:
    """As it will be once ``dead`` is settled."""
    row = book.incidents.row(request.incident_id)
    if row is None:
        raise UnknownIncidentError(request.incident_id)
    gone = {each.action.id: each.action for each in dead}
    return Situation(
        incident=row.incident,
        others=tuple(each for each in book.incidents.open_incidents() if each.id != request.incident_id),
        switches=switched_off(book, now),
        busy=tuple(each for each in running if each.target is request.target and each.id not in gone),
        leases=tuple(
            lease
            for lease in book.leases()
            if lease.service in request.services and lease.action_id not in gone and not is_free(lease, now, alive)
        ),
        past=_past(book, request, gone.values(), now),
        continues=_continues(book, request, gone.values()),
    )


def _continues(book: GuardBook, request: ActionRequest, gone: Iterable[Action]) -> bool:
    rung, target = request.rung, request.target
    latest = next((each for each in gone if each.rung is rung and each.target is target), None)
    if latest is None:
        latest = next((each for each in book.ended(rung, target, 1) if each.state is ActionState.ABANDONED), None)
    return latest is not None and latest.run == request.run


def _past(book: GuardBook, request: ActionRequest, gone: Iterable[Action], now: datetime) -> limits.Past:
    rung, target = request.rung, request.target
    after = now - limits.window(request.limits)
    abandoned = (each for each in gone if each.rung is rung and each.target is target)
    ended = book.ended(rung, target, request.limits.breaker_failures)
    return limits.Past(
        starts=book.starts(rung, target, after),
        ended=(
            *(limits.Ended(ActionState.ABANDONED, now) for _ in abandoned),
            *(limits.Ended(each.state, each.ended_at) for each in ended if each.ended_at),
        ),
    )


def _action(request: ActionRequest, now: datetime) -> Action:
    return Action(
        id=0,
        incident_id=request.incident_id,
        scenario=request.scenario,
        rung=request.rung,
        target=request.target,
        requested_by=clean_text(request.requested_by),
        run=clean_text(request.run),
        holder=clean_text(request.holder),
        state=ActionState.RUNNING,
        started_at=now,
        expires_at=now + timedelta(seconds=request.lease_seconds),
        services=tuple(dict.fromkeys(request.services)),
    )


def _lease_services(book: GuardBook, action: Action) -> None:
    purpose = f"{action.rung} of {action.incident_id}"
    for service in action.services:
        book.put_lease(Lease(service, action.holder, purpose, action.started_at, action.expires_at, action.id))


def _tell_start(book: GuardBook, action: Action, taken_on: Sequence[Refused]) -> None:
    told = {**about(action), "expires_at": action.expires_at}
    words = f"{action.rung} on {action.target} begins"
    if taken_on:
        told["overridden"] = [figures(each) for each in taken_on]
        names = ", ".join(each.refusal.replace("_", " ") for each in taken_on)
        words += f"; {action.requested_by} takes it on themselves ({names})"
    start = NewEntry(EntryKind.ACTION_STARTED, action.requested_by, f"{words}.", action.started_at, told)
    tell(book, action.incident_id, start)


def _tell_refusal(book: GuardBook, request: ActionRequest, refused: Refused, now: datetime) -> None:
    """Once for each run: whoever waits for the reason to pass asks again and again."""
    key = RefusalKey(request.incident_id, request.run, request.rung, request.target, refused.refusal)
    if not book.first_refusal(key):
        return
    told = {
        "scenario": request.scenario,
        "rung": request.rung,
        "target": request.target,
        "requested_by": request.requested_by,
        "run": request.run,
        **figures(refused),
    }
    words = f"{request.rung} on {request.target} was not begun. {refused.text}"
    tell(book, request.incident_id, NewEntry(EntryKind.ACTION_REFUSED, ACTOR, words, now, told))
