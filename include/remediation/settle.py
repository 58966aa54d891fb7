"""Putting right what an action whose process died has left behind."""

from __future__ import annotations

from datetime import UTC, datetime

from include.guardrails.guardrails import Guardrails
from include.guardrails.model import Action
from include.incidents.model import EntryKind, NewEntry
from include.incidents.store import IncidentStore
from include.runtime.logging import get_logger
from include.services.controller import ServiceController
from include.services.errors import ServicesError

START_SECONDS = 20.0

_log = get_logger("remediation.settle")


def settle_dead_actions(guardrails: Guardrails, controller: ServiceController, store: IncidentStore) -> list[str]:
    """Settle them, and start every process that one of them has stopped and not started again; what was done, in
    sentences. A process that cannot be started is named, and the others are still seen to.
    """
    said = []
    for action in guardrails.settle():
        said.append(f"{action.rung} of {action.incident_id} was abandoned: its process died.")
        said += [_start(service, action, controller, store) for service in action.services]
    return [sentence for sentence in said if sentence]


def _start(service: str, action: Action, controller: ServiceController, store: IncidentStore) -> str:
    try:
        if controller.status(service).pid is not None:
            return ""
        outcome = controller.start(service, START_SECONDS).value
        text = f"{service} was left stopped by {action.rung}, whose process died; start: {outcome}."
    except ServicesError as error:
        text = f"{service} was left stopped by {action.rung}, whose process died, and cannot be started: {error}"
    _log.warning("service put right", service=service, incident=action.incident_id, text=text)
    data = {"action": action.id, "service": service}
    store.append(action.incident_id, NewEntry(EntryKind.DECIDED, "reconciler", text, datetime.now(UTC), data))
    return text
