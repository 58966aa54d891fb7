"""What the tasks behind the sensor of a health Dag do."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
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


@dataclass(frozen=True, slots=True)
class HandOverDecision:
    """``run_id`` and ``conf`` of the remediation run that is to be there; ``run_id`` None: nothing is handed over."""

    message: str
    run_id: str | None = None
    conf: dict[str, Any] = field(default_factory=dict)


def hand_over(event: dict[str, Any], run_id: str, store: IncidentStore) -> HandOverDecision:
    """Record to whom the incident goes. Of several runs one is recorded; all of them name the same remediation run."""
    from include.health.verdicts import State
    from include.incidents.model import HandOver
    from include.playbook.names import ScenarioId
    from include.remediation.run_names import qualified, remediation_dag, remediation_run, split
    from playbook_airflow.remediation_form import REASON_BY_HEALTH

    incident = store.incident(event["incident_id"])
    scenario = ScenarioId(event["verdict"]["scenario"])
    if not event["needs_hand_over"] or not State(event["verdict"]["state"]).bad:
        return HandOverDecision(
            f"{incident.id} needs no hand-over from {scenario}: it was done before, or another scenario does it."
        )
    wanted = qualified(remediation_dag(scenario), remediation_run(incident, scenario))
    recorded, first = store.hand_over(HandOver(incident.id, scenario, run_id, wanted, datetime.now(UTC)))
    message = f"{incident.id} was handed over to {recorded.remediation}" + ("" if first else " (recorded before)")
    return HandOverDecision(
        message, split(recorded.remediation)[1], {"incident_id": incident.id, "reason": REASON_BY_HEALTH}
    )
