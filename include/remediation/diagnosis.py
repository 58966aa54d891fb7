"""The diagnosis as it stands, which may have become more exact since a run began."""

from __future__ import annotations

from include.playbook.names import Cause
from include.remediation.model import RunRequest
from include.remediation.tools import Tools


def current_cause(tools: Tools, request: RunRequest) -> Cause:
    """That of the incident; that of the run's beginning where the incident is about another scenario, or where none is
    open, which only a dry run may find. Raises the store's errors.
    """
    if not request.incident_id:
        return request.cause
    incident = tools.store.incident(request.incident_id)
    return incident.cause if incident.scenario is request.scenario else request.cause
