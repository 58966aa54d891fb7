"""What the tasks behind the sensor of a health Dag do."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from include.incidents.store import IncidentStore

log = logging.getLogger(__name__)

ACTOR = "health"


def healthy_figures(event: dict[str, Any]) -> dict[str, Any]:
    """What the healthy pipeline looked like; the task's result."""
    log.info("%s", event["message"])
    return {"state": event["verdict"]["state"], "reason": event["verdict"]["reason"], **event["verdict"]["figures"]}


def why_undecided(event: dict[str, Any]) -> str:
    """Why nothing could be said; a target is never acted upon for it."""
    log.warning("%s", event["message"])
    return str(event["message"])


def open_or_join(event: dict[str, Any], run_id: str, store: IncidentStore) -> dict[str, Any]:
    """Have the incident on record, and this run's finding in its timeline (once, however often the task is tried).

    The watch has opened it already, within milliseconds of the verdict. Raises ``UnknownIncidentError`` if the store
    has lost it since: the watch opens it anew if the fault is still there.
    """
    from include.incidents.model import EntryKind, NewEntry

    incident = store.incident(event["incident_id"])
    if not any(entry.data.get("health_run") == run_id for entry in store.timeline(incident.id)):
        data = {"health_run": run_id, "figures": event["verdict"]["figures"]}
        text = f"Health check of {event['verdict']['scenario']}: {event['message']}"
        store.append(incident.id, NewEntry(EntryKind.OBSERVED, ACTOR, text, datetime.now(UTC), data))
    log.info("%s, %s: %s", incident.id, incident.severity.label, incident.summary)
    return {
        "incident_id": incident.id,
        "severity": incident.severity.label,
        "state": incident.state.value,
        "cause": incident.cause.value,
        "summary": incident.summary,
        "role": "root" if incident.scenario.value == event["verdict"]["scenario"] else "symptom",
    }


def hand_over(event: dict[str, Any], incident_id: str, run_id: str, store: IncidentStore) -> str:
    """Record to whom the incident goes; says so when it went already, or when there is nothing to hand over."""
    from include.health.verdicts import State
    from include.incidents.model import HandOver
    from include.playbook.names import ScenarioId

    scenario = ScenarioId(event["verdict"]["scenario"])
    if not event["needs_hand_over"] or not State(event["verdict"]["state"]).bad:
        message = f"{incident_id} needs no hand-over from {scenario}: it was done before, or another scenario does it."
        log.info(message)
        return message
    nobody = f"nobody: there is no Dag remediate_{scenario}. A person follows docs/runbooks/{scenario}.md"
    recorded, first = store.hand_over(HandOver(incident_id, scenario, run_id, nobody, datetime.now(UTC)))
    message = f"{incident_id} was handed over to {recorded.remediation}" + ("" if first else " (recorded before)")
    log.warning(message)
    return message
