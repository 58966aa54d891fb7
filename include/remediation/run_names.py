"""Names of Dag runs, made from the incident: doing anything twice finds the run that there is (ADR 0011)."""

from __future__ import annotations

from include.incidents.model import Incident
from include.playbook.names import ScenarioId

REVIEW_DAG = "post_incident_review"


def remediation_dag(scenario: ScenarioId) -> str:
    """The Dag with the remedies of a scenario."""
    return f"remediate_{scenario}"


def remediation_run(incident: Incident, scenario: ScenarioId) -> str:
    """One for each scenario that an incident is worked on for, and for each return of the incident."""
    return f"{incident.id}__{scenario}__{incident.reopened}"


def again(run: str, number: int) -> str:
    """The name of a run's ``number``-th try; the first one has the run's own."""
    return run if number == 1 else f"{run}__{number}"


def review_run(incident: Incident, round_number: int = 1) -> str:
    """The review of an incident: one for each return, and for each time that it was sent back."""
    return f"{incident.id}__review__{incident.reopened}__{round_number}"


def qualified(dag_id: str, run_id: str) -> str:
    """Dag and run in one word, as hand-overs and requests name them."""
    return f"{dag_id}/{run_id}"


def split(name: str) -> tuple[str, str]:
    """Dag and run of a qualified name; the run is empty if it names none."""
    dag_id, _, run_id = name.partition("/")
    return dag_id, run_id
