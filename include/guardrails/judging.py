"""Whether an action may begin: a pure function of the request, of what the store says, and of the time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from include.guardrails import limits
from include.guardrails.model import ALL, Action, ActionRequest, Lease, Refusal, Refused, Switch
from include.incidents.model import Incident, IncidentState
from include.incidents.states import OVER_STATES
from include.playbook.names import Component, Severity

S = IncidentState
# From MITIGATED on the watch has seen the fault go.
_FAULT_PRESENT = frozenset({S.DETECTED, S.REOPENED, S.ACKNOWLEDGED, S.MITIGATING})


@dataclass(frozen=True, slots=True)
class Situation:
    """What the store says. ``others``: open incidents besides the request's; ``busy``: what runs on the target;
    ``leases``: on the services, not expired. ``continues``: the last of its kind on the target was of the same run, and
    its process was killed.
    """

    incident: Incident
    others: tuple[Incident, ...]
    switches: tuple[Switch, ...]
    busy: tuple[Action, ...]
    leases: tuple[Lease, ...]
    past: limits.Past
    continues: bool = False


_Check = Callable[[ActionRequest, Situation, datetime], Refused | None]


def judge(request: ActionRequest, situation: Situation, now: datetime) -> Refused | None:
    """The weightiest reason against it, or ``None``: it may begin."""
    checks = _FIRM if request.overrides else (*_FIRM, *_LIFTED_BY_PEOPLE)
    return next((refused for check in checks if (refused := check(request, situation, now))), None)


def lifted(request: ActionRequest, situation: Situation, now: datetime) -> tuple[Refused, ...]:
    """What would stand against it, had nobody taken it on themselves."""
    found = (check(request, situation, now) for check in _LIFTED_BY_PEOPLE) if request.overrides else ()
    return tuple(refused for refused in found if refused)


def _switched_off(scope: str, refusal: Refusal, what: str) -> _Check:
    def check(request: ActionRequest, situation: Situation, now: datetime) -> Refused | None:
        wanted = scope or request.scenario
        off = next((switch for switch in situation.switches if switch.scope == wanted), None)
        if off is None:
            return None
        subject = what.format(scenario=request.scenario)
        back = (
            f" It comes back by itself at {moment(off.until)}." if off.until else " It stays off until it is resumed."
        )
        text = f"{subject} was switched off by {off.by} at {moment(off.since)}: {off.reason}.{back}"
        return Refused(refusal, text, off.until, {"by": off.by, "reason": off.reason, "since": off.since})

    return check


def _over(request: ActionRequest, situation: Situation, now: datetime) -> Refused | None:
    incident = situation.incident
    if incident.open or request.after_recovery or (request.named and incident.state in OVER_STATES):
        return None
    into = f" into {incident.merged_into}, which is the one to work on" if incident.merged_into else ""
    text = f"{incident.id} is {incident.state.replace('_', ' ')}{into}: nothing is left to be done for it."
    return Refused(Refusal.INCIDENT_OVER, text, data={"state": incident.state, "merged_into": incident.merged_into})


def _busy(request: ActionRequest, situation: Situation, now: datetime) -> Refused | None:
    if not situation.busy:
        return None
    other = situation.busy[0]
    text = (
        f"{request.target} is being worked on: {other.rung} of {other.incident_id}, begun at"
        f" {moment(other.started_at)} for {other.requested_by}, runs until {moment(other.expires_at)} at the latest."
    )
    data = {"action": other.id, "other_rung": other.rung, "other_incident": other.incident_id}
    return Refused(Refusal.TARGET_BUSY, text, other.expires_at, data)


def _leased(request: ActionRequest, situation: Situation, now: datetime) -> Refused | None:
    if not situation.leases:
        return None
    lease = max(situation.leases, key=lambda lease: lease.expires_at)
    text = (
        f"The process {lease.service} is in other hands since {moment(lease.taken_at)} ({lease.purpose}),"
        f" until {moment(lease.expires_at)} at the latest."
    )
    data = {"service": lease.service, "purpose": lease.purpose, "taken_at": lease.taken_at, "action": lease.action_id}
    return Refused(Refusal.SERVICE_LEASED, text, lease.expires_at, data)


def _storm(request: ActionRequest, situation: Situation, now: datetime) -> Refused | None:
    roots = [other for other in situation.others if _is_other_root(other, situation.incident)]
    if not roots:
        return None
    named = ", ".join(f"{root.id} ({root.target}, {root.severity.label})" for root in roots)
    own = situation.incident
    text = (
        f"Several parts are unhealthy at once: besides {own.id} ({own.target}) also {named}."
        " What heals one may harm another, so people decide."
    )
    data = {"roots": [{"incident": root.id, "target": root.target, "severity": root.severity} for root in roots]}
    return Refused(Refusal.STORM, text, data=data)


def _is_other_root(other: Incident, own: Incident) -> bool:
    """Merged ones are not open; a record (SEV-4) and a blind observer are no faults of a part."""
    return (
        other.target not in (own.target, Component.MONITORING)
        and other.severity <= Severity.SEV_3
        and other.state in _FAULT_PRESENT
    )


def _breaker(request: ActionRequest, situation: Situation, now: datetime) -> Refused | None:
    until = limits.breaker_until(situation.past, request.limits, now)
    if until is None:
        return None
    failures, last = request.limits.breaker_failures, situation.past.ended[0].at
    text = (
        f"{request.rung} on {request.target} did not help {failures} times in a row, the last time at {moment(last)}."
        f" One more try is let through from {moment(until)} on."
    )
    data = {"failures": failures, "last_failure": last, "breaker_seconds": request.limits.breaker_seconds}
    return Refused(Refusal.BREAKER_OPEN, text, until, data)


def _budget(request: ActionRequest, situation: Situation, now: datetime) -> Refused | None:
    until = limits.budget_until(situation.past, request.limits, now)
    if until is None:
        return None
    starts, allowed = limits.counted(situation.past, request.limits, now), request.limits.hourly_budget
    begun = limits.recent(starts, limits.HOUR, now)
    text = (
        f"{request.rung} on {request.target} began {begun} {_times(begun)} within an hour, {allowed} {_times(allowed)}"
        f" is the most. It may begin again at {moment(until)}."
    )
    return Refused(Refusal.BUDGET, text, until, {"begun": begun, "hourly_budget": allowed})


def _cooldown(request: ActionRequest, situation: Situation, now: datetime) -> Refused | None:
    until = limits.cooldown_until(situation.past, request.limits, now)
    if until is None or situation.continues:  # what was killed in the middle is to be finished, not waited for
        return None
    seconds = request.limits.cooldown_seconds
    last = until - timedelta(seconds=seconds)
    text = (
        f"{request.rung} on {request.target} began at {moment(last)}, and {seconds:g} s lie between two."
        f" It may begin again at {moment(until)}."
    )
    return Refused(Refusal.COOLDOWN, text, until, {"last_start": last, "cooldown_seconds": seconds})


# The longest wait comes first: that is the one a person must know.
_FIRM: Sequence[_Check] = (
    _switched_off(ALL, Refusal.KILL_SWITCH, "All automation"),
    _switched_off("", Refusal.PAUSED, "Automation for {scenario}"),
    _over,
    _busy,
    _leased,
)
_LIFTED_BY_PEOPLE: Sequence[_Check] = (_storm, _breaker, _budget, _cooldown)


def moment(at: datetime) -> str:
    """As a person reads it."""
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


def _times(count: int) -> str:
    return "time" if count == 1 else "times"


def figures(refused: Refused) -> dict[str, Any]:
    """What the timeline keeps of a refusal."""
    return {"refusal": refused.refusal, "until": refused.until, **refused.data}
