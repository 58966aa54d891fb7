"""The form of a remediation Dag, and the wish that a run of it stands for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow.sdk import Param

if TYPE_CHECKING:
    from include.incidents.model import Incident
    from include.remediation.model import RunRequest

REASON_BY_HEALTH = "Handed over by the health check."


def remediation_params(rungs: list[str]) -> dict[str, Param]:
    """The fields, in the order of the form. ``rungs``: ids of the ladder, in its order."""
    return {
        "reason": Param(
            type="string",
            title="Reason",
            minLength=3,
            description="Why you trigger it. It stands in the incident's timeline beside your name.",
        ),
        "incident_id": Param(
            "",
            type=["string", "null"],  # the form leaves out what is empty
            title="Incident",
            pattern=r"^$|^INC-\d{4}-\d{4,}$",
            description="For example INC-2026-0007. Empty: this scenario's open one, or a new one of yours.",
        ),
        "rungs": Param(
            [],
            type=["array", "null"],
            title="Rungs",
            items={"type": "string", "enum": rungs},
            examples=rungs,
            description="Only these, also if they seem not to be needed. Empty: the whole ladder, each if needed.",
        ),
        "dry_run": Param(
            False, type="boolean", title="Dry run", description="Look and print the plan; change nothing, open nothing."
        ),
        "ask_before_risky": Param(
            True,
            type="boolean",
            title="Ask before risky rungs",
            description="Off: you take the reversible ones on yourself. Destructive ones always ask somebody else.",
        ),
        "override_guardrails": Param(
            False,
            type="boolean",
            title="Override cooldown, budget, breaker and storm gate",
            description="Never overrides the kill switch, a pause, or another action on the same target.",
        ),
    }


def requested_by(dag_run: Any) -> str:
    """The person who triggered the run, or ``health``: Airflow keeps the name through chains of triggered runs."""
    from include.remediation.model import HEALTH

    return str(dag_run.triggering_user_name or HEALTH)


def request_of(scenario: str, incident: Incident | None, params: Mapping[str, Any], dag_run: Any) -> RunRequest:
    """What this run is to do about ``incident``, whose own scenario is another one if this one outlived its root.
    Without an incident it can only be a dry run.
    """
    from include.playbook.ladder import RungId
    from include.playbook.names import Cause, ScenarioId
    from include.remediation.model import RunRequest
    from include.remediation.run_names import qualified

    own = incident is not None and incident.scenario.value == scenario
    return RunRequest(
        incident_id=incident.id if incident else "",
        scenario=ScenarioId(scenario),
        cause=incident.cause if incident and own else Cause.UNKNOWN,
        requested_by=requested_by(dag_run),
        run=qualified(dag_run.dag_id, dag_run.run_id),
        reason=params["reason"],
        rungs=tuple(RungId(name) for name in params["rungs"] or ()),
        dry_run=bool(params["dry_run"]),
        ask=bool(params["ask_before_risky"]),
        overrides=bool(params["override_guardrails"]),
    )
