"""How the work on an incident moves it through the workflow. Somebody else may be faster, which is no error."""

from __future__ import annotations

from include.incidents.errors import IllegalMoveError, IncidentStoreError, StaleVersionError
from include.incidents.model import Incident, IncidentState
from include.incidents.states import path
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
