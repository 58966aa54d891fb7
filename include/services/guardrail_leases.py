"""The leases of :mod:`include.services.leases` in the guardrails, which live in the incident store."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from include.guardrails.guardrails import Guardrails
from include.guardrails.holders import this_process
from include.guardrails.model import Action, ActionState, Lease
from include.guardrails.sql import SqlGuardrails
from include.health.probes.base import one_line
from include.incidents.factory import store_url
from include.runtime.clock import Clock, SystemClock
from include.services.leases import LeaseAnswer, LeaseReply, StopOrigin
from include.settings import Settings

PURPOSE = "supervision"
_PATIENCE_SECONDS = 1.0  # with a busy store; a restart has gone on without it by then
_JUST_NOW = timedelta(seconds=2)  # between a remedy's end and the sight of what it did
_LONGEST_ACTION = timedelta(hours=1)


class GuardrailLeases:
    """See :class:`~include.services.leases.ServiceLeases`.

    Whatever is raised, also a fault of the guardrails' own, is an answer: no process stays down for a lease's sake.
    """

    def __init__(self, guardrails: Guardrails, clock: Clock | None = None, holder: str = "") -> None:
        self._guardrails, self._clock = guardrails, clock or SystemClock()
        self._holder = holder or this_process()

    def open(self) -> None:
        """See the protocol."""
        try:
            self._guardrails.leases()
        except Exception:  # away: whoever asks is told so
            return

    def take(self, service: str, seconds: float) -> LeaseReply:
        """See the protocol. A remedy whose process is dead has nothing any more."""
        try:
            for _ in range(2):  # what another one gave back between the two questions is free at the second try
                if self._guardrails.lease(service, holder=self._holder, purpose=PURPOSE, seconds=seconds):
                    return LeaseReply(LeaseAnswer.TAKEN)
                if other := self._other(service):
                    until_ms = round(other.expires_at.timestamp() * 1000)
                    return LeaseReply(LeaseAnswer.HELD, other.holder, other.purpose, until_ms)
        except Exception as error:
            return LeaseReply(LeaseAnswer.UNKNOWN, why=one_line(error))
        return LeaseReply(LeaseAnswer.HELD, purpose="somebody else", until_ms=self._clock.time_ms())

    def give_back(self, service: str) -> None:
        """See the protocol."""
        try:
            self._guardrails.give_back(service, self._holder)
        except Exception:  # it ends by expiring
            return

    def origin_of_stop(self, service: str, started_at: datetime | None, seen_at: datetime | None) -> StopOrigin:
        """See the protocol. By the lease, or by the actions: one whose process died may be settled already."""
        now = datetime.fromtimestamp(self._clock.time_ms() / 1000, UTC)
        at = seen_at or now
        since = at - _LONGEST_ACTION if seen_at else started_at
        try:
            other = self._other(service)
            actions = self._guardrails.actions(since=since, limit=50)
        except Exception:
            return StopOrigin.UNKNOWN
        ours = [action for action in actions if service in action.services and action.started_at <= at]
        explained = (_was_busy(action, at) if seen_at else _was_cut_short(action) for action in ours)
        return StopOrigin.REMEDY if (other and other.taken_at <= at) or any(explained) else StopOrigin.PERSON

    def close(self) -> None:
        """See the protocol."""
        self._guardrails.close()

    def _other(self, service: str) -> Lease | None:
        """The lease that is not ours, also of a holder who is dead."""
        leases = (lease for lease in self._guardrails.leases() if lease.service == service)
        return next((lease for lease in leases if lease.holder != self._holder or lease.action_id), None)


def leases_from_settings(settings: Settings) -> GuardrailLeases:
    """They connect at first use."""
    url = store_url(settings).render_as_string(hide_password=False)
    return GuardrailLeases(SqlGuardrails(url, patience=_PATIENCE_SECONDS))


def _was_busy(action: Action, at: datetime) -> bool:
    """It was going on when the process was seen to end, or had just ended."""
    return (action.ended_at or action.expires_at) >= at - _JUST_NOW


def _was_cut_short(action: Action) -> bool:
    """Nobody knows when the process ended; a remedy that came to its end has started what it had stopped."""
    return action.state in (ActionState.RUNNING, ActionState.ABANDONED)
