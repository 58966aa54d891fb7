"""What the tasks of a remediation Dag do beside the rungs: find or open the incident, collect evidence, tell people."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.sdk import Context

    from include.incidents.model import Incident
    from include.incidents.store import IncidentStore
    from include.remediation.model import RunRequest
    from include.settings import Settings

log = logging.getLogger(__name__)

DIAGNOSE_TASK = "diagnose.collect_evidence"


def find_incident(scenario: str, incident_id: str, store: IncidentStore) -> Incident | None:
    """The one that was named, or the open one that this scenario's trouble belongs to.

    Raises ``AirflowFailException`` for an id that the store does not have.
    """
    from airflow.sdk.exceptions import AirflowFailException

    from include.incidents.errors import UnknownIncidentError
    from include.playbook.names import ScenarioId
    from include.playbook.playbook import get_playbook

    if incident_id:
        try:
            return store.incident(incident_id)
        except UnknownIncidentError as error:  # to try again would not help
            raise AirflowFailException(f"{error} Leave the field empty to report a new one.") from error
    target = get_playbook().scenarios[ScenarioId(scenario)].target
    if found := store.open_for(ScenarioId(scenario), target):
        return found
    for incident in store.open_incidents():
        if any(s.scenario.value == scenario and s.cleared_at is None for s in store.symptoms(incident.id)):
            return incident
    return None


def report_incident(scenario: str, by: str, reason: str, store: IncidentStore) -> Incident:
    """Open an incident for what a person reports; joins one that is open."""
    from include.incidents.model import NewIncident
    from include.playbook.names import Cause, ScenarioId
    from include.playbook.playbook import get_playbook

    record, now = get_playbook().scenarios[ScenarioId(scenario)], datetime.now(UTC)
    return store.open(
        NewIncident(
            scenario=record.id,
            target=record.target,
            cause=Cause.UNKNOWN,
            severity=record.severity,
            summary=f"Reported by {by}: {reason}",
            onset_at=now,
            reported_by=by,
            reason=f"{by} triggered remediate_{scenario} by hand, and no incident of this scenario was open.",
        )
    )[0]


def current_request(scenario: str, context: Context, store: IncidentStore) -> RunRequest | None:
    """The wish of this run, with the incident as it stands now; ``None`` if there is no incident."""
    from playbook_airflow.remediation_form import request_of

    found = (context["ti"].xcom_pull(task_ids=DIAGNOSE_TASK) or {}).get("incident_id")
    named = str(found or context["params"]["incident_id"] or "")
    incident = find_incident(scenario, named, store)
    if incident is None and not context["params"]["dry_run"]:
        return None
    return request_of(scenario, incident, context["params"], context["dag_run"])


def diagnose(scenario: str, context: Context, settings: Settings) -> dict[str, Any]:
    """Have the incident and its evidence on record before anything is touched; a dry run only looks."""
    from include.incidents.factory import store_from_settings
    from include.incidents.model import EntryKind, NewEntry
    from include.remediation.incident_moves import take_over
    from include.review.evidence_collector import collect_evidence
    from playbook_airflow.remediation_form import request_of, requested_by

    params, dag_run = context["params"], context["dag_run"]
    by = requested_by(dag_run)
    with closing(store_from_settings(settings)) as store:
        incident = find_incident(scenario, params["incident_id"] or "", store)
        if params["dry_run"]:
            return {"incident_id": incident.id if incident else None, "evidence": "not collected: dry run"}
        if incident is None:
            incident = report_incident(scenario, by, params["reason"], store)
        request = request_of(scenario, incident, params, dag_run)
        if not request.rungs:  # all that the health check would start; a part of it takes over when it acts
            take_over(store, request, datetime.now(UTC))
        if not any(entry.data.get("remediation_run") == request.run for entry in store.timeline(incident.id)):
            words = f"Remediation of {scenario} begins, asked for by {by}: {request.reason}"
            data = {"remediation_run": request.run, "rungs": list(request.rungs), "overrides": request.overrides}
            store.append(incident.id, NewEntry(EntryKind.DECIDED, "remediation", words, datetime.now(UTC), data))
        manifest = collect_evidence(settings, incident, store=store)
    for block in manifest.blocks:
        for line in block.highlights:
            log.info("%s: %s", block.name, line)
        if not block.available:
            log.warning("%s is not available: %s", block.name, block.note)
    return {
        "incident_id": incident.id,
        "requested_by": by,
        "cause": incident.cause.value,
        "evidence": manifest.folder,
        "evidence_sha256": manifest.sha256,
        "blocks": len(manifest.blocks),
        "not_available": [block.name for block in manifest.blocks if not block.available],
        "seconds": manifest.seconds,
    }


def reports_of(context: Context, tasks: list[str]) -> list[dict[str, Any]]:
    """The reports of the rungs that have one, in the order of the ladder."""
    found: Any = context["ti"].xcom_pull(task_ids=tasks) or []
    return [report for report in found if isinstance(report, Mapping) and report.get("outcome")]


def escalate(scenario: str, context: Context, settings: Settings, tasks: list[str], why: str) -> str:
    """Hand the incident to people: on record, with what was done and what was seen; the text is the task's result."""
    from include.incidents.factory import store_from_settings
    from include.remediation.escalation import escalate_incident

    with closing(store_from_settings(settings)) as store:
        request = current_request(scenario, context, store)
        if request is None:
            return "There is no incident to hand to anybody."
        return escalate_incident(store, request.incident_id, request.run, reports_of(context, tasks), why)


def repair(scenario: str, context: Context, settings: Settings) -> dict[str, Any]:
    """Make the tables what they would have been without the fault, and prove it."""
    from include.incidents.factory import store_from_settings

    with closing(store_from_settings(settings)) as store:
        request = current_request(scenario, context, store)
        if request is None:
            return {}
        incident = store.incident(request.incident_id)
    return repair_incident(incident, settings, request.requested_by)


def repair_incident(incident: Incident, settings: Settings, by: str) -> dict[str, Any]:
    """Repair the time of an incident. Raises ``RepairError`` if the tables are not what they would have been."""
    from include.repair.span import span_of_incident
    from playbook_airflow.repair_form import repair_span

    return repair_span(span_of_incident(incident, settings, datetime.now(UTC)), settings, by, incident.id)
