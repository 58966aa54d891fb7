"""What is left undone when a run, a task or Airflow itself dies: found by comparing the store with the runs that live.

Pure: facts in, work out. Every piece of work is safe to be done twice, because runs have names made from the incident.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from include.guardrails.holders import alive
from include.guardrails.model import Action, ActionState
from include.guardrails.settling import dead_actions
from include.incidents.model import Entry, EntryKind, HandOver, Incident, IncidentState
from include.playbook.names import Component, Severity
from include.remediation.run_names import REVIEW_DAG, again, qualified, review_run, split

START_SECONDS = 15.0  # that a run which was recorded may need to appear
REVIEW_SECONDS = 20.0  # after the end of an incident; its own remediation starts the review before, as a rule
TRIES = 2  # remediation runs of one hand-over that died; then people


class RunState(StrEnum):
    """Of a Dag run, as far as anybody knows."""

    MISSING = "missing"
    ALIVE = "alive"  # queued or running
    SUCCESS = "success"
    FAILED = "failed"
    UNKNOWN = "unknown"  # nobody answered: no reason to act on


class WorkKind(StrEnum):
    """What is to be done."""

    SETTLE = "settle"  # an action whose process died: put it on record, and its services right
    START = "start"  # a remediation that was handed over and never began
    AGAIN = "again"  # one that died without a word
    ESCALATE = "escalate"  # the second one that died: people
    REVIEW = "review"  # an incident is over and nobody has drafted its review


@dataclass(frozen=True, slots=True)
class Work:
    """One piece. ``dag_id``, ``run_id`` and ``conf``: the run to be started, for those that start one."""

    kind: WorkKind
    incident_id: str
    because: str
    dag_id: str = ""
    run_id: str = ""
    conf: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Case:
    """An incident that is open, or over and not reviewed. ``entries``: its timeline."""

    incident: Incident
    hand_overs: tuple[HandOver, ...]
    entries: tuple[Entry, ...]
    awaits_review: bool = False


RunStates = Callable[[str, str], RunState]  # by Dag id and run id


def work_for(now: datetime, cases: Iterable[Case], actions: Iterable[Action], states: RunStates) -> tuple[Work, ...]:
    """All that is to be done now."""
    running = [action for action in actions if action.state is ActionState.RUNNING]
    found = [_settle(dead.action) for dead in dead_actions(running, now, alive)]
    for case in cases:
        if case.incident.open:
            found += [work for each in case.hand_overs if (work := _of_hand_over(now, case, each, states))]
        elif case.awaits_review and (work := _review(now, case, states)):
            found.append(work)
    return tuple(found)


def reviewable(incident: Incident) -> bool:
    """A record needs no review, nor does one about the observer alone."""
    over = incident.state in (IncidentState.RESOLVED, IncidentState.IN_REVIEW)
    return over and incident.severity is not Severity.SEV_4 and incident.target is not Component.MONITORING


def _settle(action: Action) -> Work:
    return Work(WorkKind.SETTLE, action.incident_id, f"{action.rung} (action {action.id}) has lost its process.")


def _of_hand_over(now: datetime, case: Case, hand_over: HandOver, states: RunStates) -> Work | None:
    dag_id, base = split(hand_over.remediation)
    if not base:
        return None
    conf = {"incident_id": case.incident.id}
    for number in range(1, TRIES + 1):
        run = again(base, number)
        state = states(dag_id, run)
        if state is RunState.MISSING:
            waited = now - hand_over.at
            if waited < timedelta(seconds=START_SECONDS):
                return None
            kind = WorkKind.START if number == 1 else WorkKind.AGAIN
            words = "was handed over, and no run began" if number == 1 else "died without a word"
            because = f"The remediation {hand_over.remediation} {words}."
            return Work(kind, case.incident.id, because, dag_id, run, {**conf, "reason": because})
        if state is not RunState.FAILED or _escalated(case, qualified(dag_id, run)):
            return None
    because = f"{TRIES} runs of {dag_id} ended without a word."
    return None if _escalated(case, because) else Work(WorkKind.ESCALATE, case.incident.id, because, dag_id, because)


def _escalated(case: Case, run: str) -> bool:
    return any(entry.kind is EntryKind.ESCALATED and entry.data.get("run") == run for entry in case.entries)


def _review(now: datetime, case: Case, states: RunStates) -> Work | None:
    incident = case.incident
    if not reviewable(incident) or now - incident.updated_at < timedelta(seconds=REVIEW_SECONDS):
        return None
    for hand_over in case.hand_overs:
        dag_id, run = split(hand_over.remediation)
        if run and states(dag_id, run) in (RunState.ALIVE, RunState.UNKNOWN):
            return None  # it is still repairing the data, and starts the review itself
    run = review_run(incident)
    if states(REVIEW_DAG, run) is not RunState.MISSING:
        return None
    because = f"{incident.id} is {incident.state}, and its review has not been drafted."
    return Work(WorkKind.REVIEW, incident.id, because, REVIEW_DAG, run, {"incident_id": incident.id})
