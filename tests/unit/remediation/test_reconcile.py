"""What a death leaves behind, told by comparing the record with the runs that live."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from include.guardrails.holders import this_process
from include.guardrails.model import Action, ActionState
from include.incidents.memory_store import MemoryIncidentStore
from include.incidents.model import EntryKind, HandOver, Incident, IncidentState, NewEntry, NewIncident
from include.playbook.ladder import RungId
from include.playbook.names import Cause, Component, ScenarioId, Severity
from include.remediation.reconcile import Case, RunState, WorkKind, reviewable, work_for
from include.remediation.run_names import REVIEW_DAG, review_run
from include.runtime.clock import ManualClock
from tests.support.incident_stores import tell_review

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
DAG = "remediate_kafka_down"
ALIVE, MISSING, FAILED, SUCCESS, UNKNOWN = (
    RunState.ALIVE,
    RunState.MISSING,
    RunState.FAILED,
    RunState.SUCCESS,
    RunState.UNKNOWN,
)


@pytest.fixture
def store() -> MemoryIncidentStore:
    return MemoryIncidentStore()


def incident(store: MemoryIncidentStore, severity: Severity = Severity.SEV_1) -> Incident:
    new = NewIncident(
        scenario=ScenarioId.KAFKA_DOWN,
        target=Component.KAFKA,
        cause=Cause.PROCESS_GONE,
        severity=severity,
        summary="Nobody listens.",
        onset_at=NOW,
        reported_by="watch",
        reason="direct evidence",
    )
    return store.open(new)[0]


def case(store: MemoryIncidentStore, it: Incident, waited: float = 60.0, escalated: str = "") -> Case:
    """Handed over ``waited`` seconds ago."""
    base = f"{it.id}__kafka_down__0"
    hand_over = HandOver(it.id, it.scenario, "health run", f"{DAG}/{base}", NOW - timedelta(seconds=waited))
    if escalated:
        data = {"run": escalated}
        store.append(it.id, NewEntry(EntryKind.ESCALATED, "remediation", "People.", NOW, data))
    return Case(it, (hand_over,), store.timeline(it.id), awaits_review=not it.open)


def runs(states: Mapping[str, RunState]) -> Any:
    return lambda _, run: states.get(run, MISSING)


BASE = "INC-2026-0001__kafka_down__0"
SECOND = f"{BASE}__2"


@pytest.mark.parametrize(
    ("states", "waited", "escalated", "kinds"),
    [
        ({}, 5, "", []),  # it may be about to begin
        ({}, 60, "", [WorkKind.START]),
        ({BASE: ALIVE}, 600, "", []),
        ({BASE: SUCCESS}, 600, "", []),
        ({BASE: UNKNOWN}, 600, "", []),  # nobody answered
        ({BASE: FAILED}, 60, "", [WorkKind.AGAIN]),
        ({BASE: FAILED}, 60, f"{DAG}/{BASE}", []),  # people have it
        ({BASE: FAILED, SECOND: ALIVE}, 60, "", []),
        ({BASE: FAILED, SECOND: FAILED}, 60, "", [WorkKind.ESCALATE]),
        ({BASE: FAILED, SECOND: FAILED}, 60, f"{DAG}/{SECOND}", []),
        ({BASE: FAILED, SECOND: FAILED}, 60, f"2 runs of {DAG} ended without a word.", []),  # said before
    ],
)
def test_what_became_of_a_hand_over(
    store: MemoryIncidentStore, states: dict[str, RunState], waited: float, escalated: str, kinds: list[WorkKind]
) -> None:
    work = work_for(NOW, [case(store, incident(store), waited, escalated)], [], runs(states))
    assert [each.kind for each in work] == kinds
    for each in work:
        assert each.incident_id in each.because or DAG in each.because
        if each.kind is not WorkKind.ESCALATE:
            assert (each.dag_id, each.conf["incident_id"]) == (DAG, "INC-2026-0001")
            assert each.run_id == (BASE if each.kind is WorkKind.START else SECOND)
            assert len(each.conf["reason"]) >= 3  # as the form demands


def ended(store: MemoryIncidentStore, it: Incident, seconds_ago: float) -> Incident:
    for to in (IncidentState.VERIFYING, IncidentState.RESOLVED):
        it = store.move(it.id, to, version=it.version, actor="watch", reason="well", event_at=NOW)
    return replace(it, updated_at=NOW - timedelta(seconds=seconds_ago))


@pytest.mark.parametrize(
    ("severity", "seconds_ago", "states", "expected"),
    [
        (Severity.SEV_1, 60, {BASE: SUCCESS}, True),
        (Severity.SEV_3, 60, {BASE: SUCCESS}, True),
        (Severity.SEV_4, 60, {BASE: SUCCESS}, False),  # a record
        (Severity.SEV_1, 5, {BASE: SUCCESS}, False),  # its own remediation may be about to
        (Severity.SEV_1, 60, {BASE: ALIVE}, False),  # still repairs
        (Severity.SEV_1, 60, {BASE: UNKNOWN}, False),
        (Severity.SEV_1, 60, {BASE: FAILED}, True),  # people mended it
    ],
)
def test_every_ended_incident_gets_its_review(
    store: MemoryIncidentStore, severity: Severity, seconds_ago: float, states: dict[str, RunState], expected: bool
) -> None:
    over = ended(store, incident(store, severity), seconds_ago)
    work = work_for(NOW, [case(store, over)], [], runs(states))
    assert [each.kind for each in work] == ([WorkKind.REVIEW] if expected else [])
    for each in work:
        assert (each.dag_id, each.run_id) == (REVIEW_DAG, review_run(over))
        assert each.conf == {"incident_id": over.id, "round": 1}


ROUNDS = [f"INC-2026-0001__review__0__{number}" for number in range(1, 6)]


@pytest.mark.parametrize(
    ("steps", "states", "expected"),
    [
        ("drafted", [ALIVE], ""),  # it waits for a person
        ("drafted", [UNKNOWN], ""),
        ("drafted", [], "round 1"),  # drafted by hand, and nobody is asked
        ("drafted", [FAILED], "round 2"),  # nobody waits for the answer any more
        ("drafted", [SUCCESS], "round 2"),  # marked so by hand: it is not approved all the same
        ("", [FAILED], "round 2"),  # died before it had drafted anything
        ("drafted", [FAILED, ALIVE], ""),
        ("drafted", [FAILED, UNKNOWN], ""),
        ("drafted", [FAILED] * 3, "remind"),
        ("drafted remind", [FAILED] * 3, ""),  # said once
        ("drafted sent_back", [SUCCESS], "round 2"),  # died before it had started the next round
        ("drafted sent_back drafted", [SUCCESS, ALIVE], ""),
        ("drafted sent_back drafted", [SUCCESS, FAILED, FAILED], "round 4"),
        ("drafted sent_back drafted", [SUCCESS, FAILED, FAILED, FAILED], "remind"),
        ("drafted sent_back drafted sent_back", [SUCCESS, SUCCESS, ALIVE], ""),
        ("sent_back reopened drafted", [ALIVE], ""),  # counted since it came back
    ],
)
def test_somebody_always_waits_for_the_answer_to_a_draft(
    store: MemoryIncidentStore, steps: str, states: list[RunState], expected: str
) -> None:
    over = ended(store, incident(store), 60)
    told = dict(zip(ROUNDS, states, strict=False)) | {BASE: FAILED}
    because = next(
        (work.because for work in work_for(NOW, [case(store, over)], [], runs(dict.fromkeys(ROUNDS, FAILED)))), ""
    )
    for step in steps.split():
        if step == "reopened":
            store.move(over.id, IncidentState.REOPENED, version=over.version, actor="ada", reason="again", event_at=NOW)
        elif step == "remind":
            store.append(over.id, NewEntry(EntryKind.DECIDED, "reconciler", because, NOW, {"because": because}))
        else:
            tell_review(store, over.id, NOW, step=step)
    work = work_for(NOW, [case(store, over)], [], runs(told))
    assert [f"round {each.conf['round']}" if each.conf else each.kind.value for each in work] == [expected][: len(work)]
    assert bool(work) == bool(expected)
    for each in work:
        assert over.id in each.because
        if each.kind is WorkKind.REVIEW:
            assert (each.dag_id, each.run_id) == (REVIEW_DAG, ROUNDS[each.conf["round"] - 1])


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([("approved", 29)], False),  # its own run publishes it
        ([("approved", 31)], True),
        ([("approved", 900), ("not_published", 599)], False),  # the disk is full
        ([("approved", 900), ("not_published", 601)], True),
        ([("approved", 900), ("not_published", 700), ("not_published", 60)], False),
    ],
)
def test_what_was_approved_is_published(steps: list[tuple[str, float]], expected: bool) -> None:
    clock = ManualClock(int(NOW.timestamp() * 1000) - 1_000_000)
    store = MemoryIncidentStore(clock)
    over = ended(store, incident(store), 1000)
    for step, seconds_ago in steps:
        clock.advance(NOW.timestamp() - seconds_ago - clock.time_ms() / 1000)
        tell_review(store, over.id, NOW - timedelta(seconds=seconds_ago), step=step)
    name = f"{over.id}-R1"
    work = work_for(NOW, [Case(over, (), store.timeline(over.id), approved=name)], [], runs({}))
    assert [(each.kind, each.review) for each in work] == [(WorkKind.PUBLISH, name)] * expected


def test_an_incident_about_the_observer_needs_no_review(store: MemoryIncidentStore) -> None:
    over = ended(store, incident(store), 60)
    assert reviewable(over)
    assert not reviewable(replace(over, target=Component.MONITORING))


def dead_holder() -> str:
    code = "from include.guardrails.holders import this_process; print(this_process())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def action(holder: str, expires_in: float, state: ActionState = ActionState.RUNNING) -> Action:
    return Action(
        id=7,
        incident_id="INC-2026-0001",
        scenario=ScenarioId.KAFKA_DOWN,
        rung=RungId.RESTART_KAFKA,
        target=Component.KAFKA,
        requested_by="health",
        run="r",
        holder=holder,
        state=state,
        started_at=NOW,
        expires_at=NOW + timedelta(seconds=expires_in),
    )


def test_an_action_without_its_process_is_settled_at_once_and_a_foreign_one_when_it_expires() -> None:
    dead, elsewhere = dead_holder(), "another-host:1-1:1:1"
    for holder, expires_in, settled in [
        (this_process(), 60, False),
        (this_process(), -1, True),
        (dead, 60, True),
        (elsewhere, 60, False),
        (elsewhere, 0, True),
    ]:
        work = work_for(NOW, [], [action(holder, expires_in)], runs({}))
        assert [each.kind for each in work] == ([WorkKind.SETTLE] if settled else []), (holder, expires_in)
    assert work_for(NOW, [], [action(dead, 60, ActionState.SUCCEEDED)], runs({})) == ()
