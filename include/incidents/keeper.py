"""Carries decisions out on an incident store: idempotent, tolerant of lost races, patient while the store is away."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from include.incidents.base_store import REOPEN
from include.incidents.correlation_step import moment
from include.incidents.decisions import Adopt, Decision, Hold, Open, RaiseSeverity, Reason, Suppress
from include.incidents.errors import IncidentStoreError, StaleVersionError, StoreUnavailableError
from include.incidents.keeper_changes import (
    Applied,
    ChangeWriter,
    NotOpenAnyMoreError,
    Outcome,
    evidence_data,
    short,
)
from include.incidents.model import DecisionRecord
from include.incidents.situation import OpenView
from include.incidents.store import IncidentStore
from include.runtime.clock import Clock, SystemClock
from include.runtime.logging import get_logger

_MOST_REMEMBERED = 100
_LATE_SECONDS = 2.0

_log = get_logger("incidents.keeper")


class IncidentKeeper:
    """Blocks: an asyncio caller uses a thread, and calls from one thread at a time.

    ``trouble`` tells why the store could not be used at the last attempt. What happened meanwhile and would be
    forgotten otherwise (openings, symptoms, severities, waits) is remembered, within bounds, and written later with its
    own time. Every decision that was carried out is stored with its reason; one to wait or to open nothing once per
    trouble, not each second.
    """

    def __init__(self, store: IncidentStore, clock: Clock | None = None, reopen: timedelta = REOPEN) -> None:
        self._store, self._clock = store, clock or SystemClock()
        self._changes = ChangeWriter(store, reopen)
        self._said: dict[tuple[object, ...], float] = {}
        self._remembered: dict[tuple[object, ...], Decision] = {}
        self.trouble: str | None = None

    def news(self, decisions: Iterable[Decision]) -> tuple[Decision, ...]:
        """Those that would be written: without what was said before. Cheap, for any thread."""
        return tuple(d for d in decisions if not (isinstance(d, Hold | Suppress) and self._was_said(d)))

    @property
    def remembers(self) -> int:
        """How many decisions wait for the store."""
        return len(self._remembered)

    def views(self) -> tuple[OpenView, ...]:
        """All open incidents as they stand. Raises :class:`StoreUnavailableError`."""
        return tuple(
            OpenView(
                incident,
                self._store.symptoms(incident.id),
                frozenset(each.scenario for each in self._store.hand_overs(incident.id)),
            )
            for incident in self._store.open_incidents()
        )

    def apply(self, decisions: Iterable[Decision]) -> tuple[Applied, ...]:
        """Carry out what was remembered, and then these, in order; one that is refused keeps back no other."""
        waiting = dict(self._remembered)
        for decision in decisions:
            waiting.setdefault(_key(decision), decision)
        done: list[Applied] = []
        for key, decision in waiting.items():
            applied = self._apply(decision)
            done.append(applied)
            if applied.outcome is Outcome.NOT_WRITTEN:
                self._remember(list(waiting.values())[len(done) - 1 :])
                return tuple(done)
            self._remembered.pop(key, None)
        self.trouble = None
        return tuple(done)

    def _apply(self, decision: Decision) -> Applied:
        try:
            return self._write(decision)
        except StoreUnavailableError as error:
            if self.trouble is None:
                _log.warning("the incident store is not available", decision=decision.kind, error=str(error))
            self.trouble = str(error)
            return Applied(decision, Outcome.NOT_WRITTEN, message=str(error))
        except StaleVersionError as error:
            return Applied(decision, Outcome.LOST_RACE, error.incident_id, str(error))
        except (IncidentStoreError, NotOpenAnyMoreError) as error:
            _log.info("a decision is out of date", decision=decision.kind, reason=str(error))
            return Applied(decision, Outcome.REFUSED, message=str(error))

    def _write(self, decision: Decision) -> Applied:
        if isinstance(decision, Hold | Suppress):
            return self._say(decision)
        applied = self._changes.write(decision, self._text(decision))
        if applied.outcome is Outcome.DONE:
            self._write_down(decision, decision.kind, decision.reason, applied.incident_id)
            _log.info(decision.kind, scenario=decision.scenario, incident=applied.incident_id, reason=decision.reason)
        elif applied.outcome is Outcome.NOTED and isinstance(decision, Open):
            self._note(decision, str(applied.incident_id))
        return applied

    def _remember(self, decisions: list[Decision]) -> None:
        """Keep what would be forgotten; a move is decided anew when the store is back."""
        for decision in decisions:
            if isinstance(decision, Open | Adopt | RaiseSeverity | Hold | Suppress):
                if len(self._remembered) >= _MOST_REMEMBERED:
                    return
                self._remembered.setdefault(_key(decision), decision)

    # --- What opens nothing
    def _say(self, decision: Hold | Suppress) -> Applied:
        if self._was_said(decision):
            return Applied(decision, Outcome.SAID)
        self._write_down(decision, decision.kind, decision.reason, None)
        self._said[_key(decision)] = decision.episode
        return Applied(decision, Outcome.DONE)

    def _was_said(self, decision: Hold | Suppress) -> bool:
        return self._said.get(_key(decision)) == decision.episode

    def _note(self, decision: Open, incident_id: str) -> None:
        """A record that belongs to an incident which ended a moment ago: said there, once."""
        key = (incident_id, decision.scenario, decision.target)
        if self._said.get(key) != decision.onset:
            text = f"{decision.summary} A record so soon after the incident belongs to it."
            self._changes.note(incident_id, text, decision, decision.onset)
            self._write_down(decision, Suppress.kind, Reason.JUST_RESOLVED, incident_id)
            self._said[key] = decision.onset

    def _write_down(self, decision: Decision, word: str, reason: Reason, incident_id: str | None) -> None:
        self._store.record_decision(
            DecisionRecord(
                at=moment(decision.at),
                scenario=decision.scenario,
                target=decision.target,
                decision=word,
                reason=reason,
                incident_id=incident_id,
                data={"text": short(decision.text), "evidence": list(evidence_data(decision.evidence))},
            )
        )

    def _text(self, decision: Decision) -> str:
        """For the timeline; says so if it could not be written at its time."""
        late = self._clock.time_ms() / 1000 - decision.at
        if _key(decision) in self._remembered and late > _LATE_SECONDS:
            return f"{short(decision.text)} (Written {late:.0f} s late: the incident store was not available.)"
        return short(decision.text)


def _key(decision: Decision) -> tuple[object, ...]:
    """What makes two decisions the same one, a second later."""
    more = (getattr(decision, "incident_id", None), getattr(decision, "severity", None))
    return (decision.kind, decision.scenario, decision.target, decision.reason, *more)
