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
from include.incidents.commands import APPROVED, NOT_PUBLISHED, SENT_BACK
from include.incidents.model import Entry, EntryKind, HandOver, Incident
from include.incidents.states import OVER_STATES
from include.playbook.names import Component, Severity
from include.remediation.run_names import REVIEW_DAG, again, qualified, review_run, split

START_SECONDS = 15.0  # that a run which was recorded may need to appear
REVIEW_SECONDS = 20.0  # after the end of an incident; its own remediation starts the review before, as a rule
PUBLISH_SECONDS = 30.0  # after the approval; its own run publishes it at once, and tries again
PUBLISH_AGAIN_SECONDS = 600.0  # a full disk is not emptied by trying, and each try is a line in the timeline
TRIES = 2  # remediation runs of one hand-over that died; then people
REVIEW_TRIES = 3  # runs of a review that ended although nobody had answered; each may have waited for a month


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
    REVIEW = "review"  # an incident is over, and no run drafts its review or waits for the answer
    PUBLISH = "publish"  # a review was approved, and its files are not there
    REMIND = "remind"  # runs of a review died again and again: people


@dataclass(frozen=True, slots=True)
class Work:
    """One piece. ``dag_id``, ``run_id`` and ``conf``: the run to be started, for those that start one. ``review``: the
    one to be published.
    """

    kind: WorkKind
    incident_id: str
    because: str
    dag_id: str = ""
    run_id: str = ""
    conf: dict[str, Any] = field(default_factory=dict)
    review: str = ""


@dataclass(frozen=True, slots=True)
class Case:
    """An incident that is open, or over and its review not finished. ``entries``: its timeline. ``awaits_review``: the
    draft or a person's answer to it is missing. ``approved``: the review that is to be published.
    """

    incident: Incident
    hand_overs: tuple[HandOver, ...]
    entries: tuple[Entry, ...]
    awaits_review: bool = False
    approved: str = ""


RunStates = Callable[[str, str], RunState]  # by Dag id and run id


def work_for(now: datetime, cases: Iterable[Case], actions: Iterable[Action], states: RunStates) -> tuple[Work, ...]:
    """All that is to be done now."""
    running = [action for action in actions if action.state is ActionState.RUNNING]
    found = [_settle(dead.action) for dead in dead_actions(running, now, alive)]
    for case in cases:
        if case.incident.open:
            found += [work for each in case.hand_overs if (work := _of_hand_over(now, case, each, states))]
        elif case.approved:
            found += _publish(now, case)
        elif case.awaits_review and (work := _review(now, case, states)):
            found.append(work)
    return tuple(found)


def reviewable(incident: Incident) -> bool:
    """A record needs no review, nor does one about the observer alone."""
    return (
        incident.state in OVER_STATES
        and incident.severity is not Severity.SEV_4
        and incident.target is not Component.MONITORING
    )


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
    """A run for the round that is due, unless one lives. Each time that a person sent the review back ended a round."""
    incident = case.incident
    if not reviewable(incident) or now - incident.updated_at < timedelta(seconds=REVIEW_SECONDS):
        return None
    done = _sent_back(case.entries)
    for number in range(done + 1, done + 1 + REVIEW_TRIES):
        run = review_run(incident, number)
        state = states(REVIEW_DAG, run)
        if state in (RunState.ALIVE, RunState.UNKNOWN) or (number == 1 and _still_repairing(case, states)):
            return None
        if state is RunState.MISSING:
            because = f"{incident.id} is {incident.state}, and no run of {REVIEW_DAG} works on its review."
            conf = {"incident_id": incident.id, "round": number}
            return Work(WorkKind.REVIEW, incident.id, because, REVIEW_DAG, run, conf)
    because = (
        f"{REVIEW_TRIES} runs of {REVIEW_DAG} for {incident.id} have ended, and nobody has answered its review. Trigger"
        f" {REVIEW_DAG} by hand with this incident when you are ready to read it."
    )
    return None if _told(case.entries, because) else Work(WorkKind.REMIND, incident.id, because)


def _still_repairing(case: Case, states: RunStates) -> bool:
    """Its remediation may be repairing the data, and starts the review itself."""
    runs = (split(hand_over.remediation) for hand_over in case.hand_overs)
    return any(states(dag_id, run) in (RunState.ALIVE, RunState.UNKNOWN) for dag_id, run in runs if run)


def _sent_back(entries: Iterable[Entry]) -> int:
    """How often since the incident came back last."""
    number = 0
    for entry in entries:
        if entry.kind is EntryKind.REOPENED:
            number = 0
        elif entry.kind is EntryKind.REVIEWED and entry.data.get("step") == SENT_BACK:
            number += 1
    return number


def _told(entries: Iterable[Entry], because: str) -> bool:
    return any(entry.data.get("because") == because for entry in entries)


def _publish(now: datetime, case: Case) -> list[Work]:
    """Not while its own run may be about to, nor soon after it could not be done."""
    waits = {APPROVED: PUBLISH_SECONDS, NOT_PUBLISHED: PUBLISH_AGAIN_SECONDS}
    for entry in case.entries:
        if now - entry.recorded_at < timedelta(seconds=waits.get(str(entry.data.get("step")), 0.0)):
            return []
    because = f"The review {case.approved} is approved, and nobody has published it."
    return [Work(WorkKind.PUBLISH, case.incident.id, because, review=case.approved)]
