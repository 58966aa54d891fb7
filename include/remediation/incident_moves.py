"""How the work on an incident moves it through the workflow, and whose it is. Somebody else may be faster, which is no
error.
"""

from __future__ import annotations

from datetime import datetime

from include.incidents.errors import IllegalMoveError, IncidentStoreError, StaleVersionError
from include.incidents.model import EntryKind, HandOver, Incident, IncidentState
from include.incidents.states import path
from include.incidents.store import IncidentStore
from include.remediation.model import RunRequest
from include.remediation.tools import Tools
from include.runtime.logging import get_logger

ACTOR = "remediation"

_TRIES = 5
_log = get_logger("remediation")
_BEFORE = frozenset({IncidentState.DETECTED, IncidentState.REOPENED, IncidentState.ACKNOWLEDGED})
_FROM: dict[IncidentState, frozenset[IncidentState]] = {
    IncidentState.MITIGATING: _BEFORE | {IncidentState.MITIGATED},
    IncidentState.MITIGATED: _BEFORE | {IncidentState.MITIGATING},
}


def advance(tools: Tools, incident_id: str, to: IncidentState, reason: str) -> None:
    """Move the incident to ``MITIGATING`` or ``MITIGATED``, unless it is further than that already.

    Never raises an error of the store: the remedy matters more than the word about it, and the watch judges anyway.
    """
    try:
        for _ in range(_TRIES):
            incident = tools.store.incident(incident_id)
            if incident.state not in _FROM[to] or _walked(tools, incident, to, reason):
                return
    except IncidentStoreError as error:
        _log.warning("the incident could not be moved", incident=incident_id, to=to.value, error=str(error))


def take_over(store: IncidentStore, request: RunRequest, now: datetime) -> HandOver | None:
    """What was reported by hand goes to the run in which that was done: else the watch would hand it over once more as
    soon as the restart that was wanted is seen. ``None``: others opened it, or the store does not answer.
    """
    if not request.by_person:
        return None
    try:
        incident = store.incident(request.incident_id)
        if not incident.open or incident.scenario is not request.scenario or not _reported(store, request):
            return None
        own = HandOver(request.incident_id, request.scenario, request.requested_by, request.run, now)
        return store.hand_over(own, actor=request.requested_by)[0]
    except IncidentStoreError as error:
        _log.warning("the incident could not be taken over", incident=request.incident_id, error=str(error))
        return None


def _reported(store: IncidentStore, request: RunRequest) -> bool:
    """Whether the requester opened it, or had it come back."""
    begun = (EntryKind.OPENED, EntryKind.REOPENED)
    actors = [entry.actor for entry in store.timeline(request.incident_id) if entry.kind in begun]
    return actors[-1:] == [request.requested_by]


def _walked(tools: Tools, incident: Incident, to: IncidentState, reason: str) -> bool:
    """Whether the way was walked to its end; ``False``: it was changed meanwhile."""
    try:
        for state in path(incident.state, to, incident.severity):
            incident = tools.store.move(
                incident.id, state, version=incident.version, actor=ACTOR, reason=reason, event_at=tools.now()
            )
    except (StaleVersionError, IllegalMoveError):
        return False
    return True
