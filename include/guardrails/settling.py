"""Ending what nobody ends any more: actions whose process died, expired, or was begun anew by the same run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from include.guardrails.book import GuardBook
from include.guardrails.model import Action, ActionRequest, ActionState, Lease
from include.incidents.model import EntryKind, NewEntry
from include.incidents.recording import locked, record

Alive = Callable[[str], bool | None]  # see :func:`include.guardrails.holders.alive`
ACTOR = "guardrails"


class Death(StrEnum):
    """Why an action that nobody ended is over."""

    SAME_RUN = "same_run"  # its run begins the next one, so it does not work on this one any more
    HOLDER_GONE = "holder_gone"
    EXPIRED = "expired"


_WORDS: Mapping[Death, str] = {
    Death.SAME_RUN: "its run went on without ending it",
    Death.HOLDER_GONE: "its process is gone",
    Death.EXPIRED: "its time was over",
}


@dataclass(frozen=True, slots=True)
class Dead:
    """A running action that is to be settled."""

    action: Action
    death: Death


def dead_actions(running: Iterable[Action], now: datetime, alive: Alive) -> tuple[Dead, ...]:
    """Those of which nothing more is to be expected."""
    found = ((action, _death(action.holder, action.expires_at, now, alive)) for action in running)
    return tuple(Dead(action, death) for action, death in found if death)


def in_the_way(request: ActionRequest, running: Iterable[Action], now: datetime, alive: Alive) -> tuple[Dead, ...]:
    """The dead ones on the request's target or services; also what the request's own run left there."""
    concerned = [
        each for each in running if each.target is request.target or set(each.services) & set(request.services)
    ]
    own = tuple(Dead(each, Death.SAME_RUN) for each in concerned if each.run == request.run)
    return own + dead_actions([each for each in concerned if each.run != request.run], now, alive)


def is_free(lease: Lease, now: datetime, alive: Alive) -> bool:
    """Whether nobody has the service any more, although the row is there."""
    return _death(lease.holder, lease.expires_at, now, alive) is not None


def settle(book: GuardBook, dead: Iterable[Dead], now: datetime) -> tuple[Action, ...]:
    """Write them down as abandoned."""
    dead = tuple(dead)
    lock(book, {each.action.incident_id for each in dead})
    return tuple(
        finish(
            book,
            each.action,
            ActionState.ABANDONED,
            text=f"Nobody ended it: {_WORDS[each.death]}.",
            now=now,
            actor=ACTOR,
            data={"death": each.death, "holder": each.action.holder},
        )
        for each in dead
    )


def finish(
    book: GuardBook,
    action: Action,
    state: ActionState,
    *,
    text: str,
    now: datetime,
    actor: str,
    data: Mapping[str, Any],
) -> Action:
    """The action is over: on record, in the timeline, and its leases are free."""
    ended = replace(action, state=state, ended_at=now, text=text, data=dict(data))
    told = {**about(ended), "state": state, "seconds": (now - action.started_at).total_seconds(), "details": ended.data}
    words = f"{action.rung} on {action.target} {_ENDED[state]}: {text}"
    tell(book, action.incident_id, NewEntry(EntryKind.ACTION_ENDED, actor, words, now, told))
    book.put(ended)
    book.drop_leases(action.id)
    return ended


def about(action: Action) -> dict[str, Any]:
    """What every line on an action has in its data."""
    return {
        "action": action.id,
        "scenario": action.scenario,
        "rung": action.rung,
        "target": action.target,
        "requested_by": action.requested_by,
        "run": action.run,
        "services": action.services,
    }


def lock(book: GuardBook, incident_ids: Iterable[str]) -> None:
    """All that will get a line, in one order, as others do: no deadlock."""
    for incident_id in sorted(incident_ids):
        locked(book.incidents, incident_id)


def tell(book: GuardBook, incident_id: str, entry: NewEntry) -> None:
    """One more line of the incident's timeline; the incident stays as it is."""
    record(book.incidents, locked(book.incidents, incident_id), entry, entry.event_at)


_ENDED: Mapping[ActionState, str] = {
    ActionState.SUCCEEDED: "has helped",
    ActionState.FAILED: "has not helped",
    ActionState.ROLLED_BACK: "has not helped and was undone",
    ActionState.ABANDONED: "was abandoned",
}


def _death(holder: str, expires_at: datetime, now: datetime, alive: Alive) -> Death | None:
    if alive(holder) is False:
        return Death.HOLDER_GONE
    return Death.EXPIRED if expires_at <= now else None
