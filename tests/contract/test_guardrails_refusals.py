"""When an action may not begin, and why: asked of each kind of guardrails."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from include.guardrails.model import Action, ActionState, Refusal
from include.incidents.model import EntryKind, IncidentState
from include.playbook.ladder import RungId
from include.playbook.names import Component, ScenarioId, Severity
from tests.support.guarding import LIMITS, PRODUCER, Guard
from tests.support.incident_stores import opened, told, walk

A, S = ActionState, IncidentState
OPS = {"requested_by": "ops", "overrides": True}


def test_a_target_takes_one_action_at_a_time(guard: Guard) -> None:
    action = guard.begin(run="run 0")
    refused = guard.refused(rung=RungId.VALIDATE_TOPICS, services=(), **OPS)
    assert (refused.refusal, refused.until) == (Refusal.TARGET_BUSY, action.expires_at)
    assert f"restart_kafka of {guard.incident.id}" in refused.text
    assert guard.free(**PRODUCER)
    guard.rails.end(action.id, A.SUCCEEDED, "")
    assert guard.free(rung=RungId.VALIDATE_TOPICS, services=())


def test_a_service_is_in_one_hand_at_a_time(guard: Guard) -> None:
    lease = guard.rails.lease("kafka", holder="supervision", purpose="starting it", seconds=20)
    assert lease is not None
    refused = guard.refused(**OPS)
    assert (refused.refusal, refused.until) == (Refusal.SERVICE_LEASED, lease.expires_at)
    assert "starting it" in refused.text
    assert guard.free(services=())
    guard.begin(**PRODUCER, run="run 0")
    refused = guard.refused(rung=RungId.RESTART_PROCESSOR, target=Component.PROCESSOR, services=("btc_producer",))
    assert refused.refusal is Refusal.SERVICE_LEASED
    assert "restart_producer" in refused.text
    guard.rails.give_back("kafka", "supervision")
    assert guard.free()


def test_an_incident_that_is_over_needs_no_remedy(guard: Guard) -> None:
    verifying = walk(guard.backend, guard.incident, S.VERIFYING)
    assert guard.free()
    walk(guard.backend, verifying, S.RESOLVED)
    refused = guard.refused(**OPS)
    assert (refused.refusal, refused.until) == (Refusal.INCIDENT_OVER, None)
    assert "is resolved" in refused.text
    assert isinstance(guard.rails.begin(guard.request(rung=RungId.PUT_BACK, after_recovery=True)), Action)


@pytest.mark.parametrize("over", [S.RESOLVED, S.IN_REVIEW])
def test_what_a_person_named_is_begun_although_the_incident_is_over_meanwhile(guard: Guard, over: S) -> None:
    walk(guard.backend, guard.incident, over)
    assert guard.refused(**OPS).refusal is Refusal.INCIDENT_OVER
    assert isinstance(guard.rails.begin(guard.request(named=True, **OPS)), Action)


def test_a_merged_incident_names_the_one_to_work_on(guard: Guard) -> None:
    other = opened(guard.backend, scenario=ScenarioId.KAFKA_LAG, target=Component.LAG)
    guard.backend.store.merge(guard.incident.id, other.id, **told(guard.backend))
    assert f"into {other.id}" in guard.refused().text
    assert f"into {other.id}" in guard.refused(named=True).text


def test_the_cooldown_counts_from_the_beginning_whatever_came_of_it(guard: Guard) -> None:
    guard.begin(run="run 0", requested_by="ops")
    guard.wait(20)
    guard.rails.settle()
    guard.rails.end(1, A.SUCCEEDED, "")
    refused = guard.refused()
    assert (refused.refusal, refused.until) == (Refusal.COOLDOWN, guard.in_(40))
    assert "60 s" in refused.text
    assert guard.free(rung=RungId.VALIDATE_TOPICS)
    guard.wait(39.999)
    assert not guard.free()
    guard.wait(0.001)
    guard.begin()


@pytest.mark.parametrize("settled_before", [False, True])
def test_a_run_goes_on_with_what_it_was_killed_in_and_no_other_run_does(guard: Guard, settled_before: bool) -> None:
    guard.begin(run="run 1")
    guard.lives["worker 1"] = False
    guard.wait(5)
    if settled_before:
        guard.rails.settle()
    assert guard.refused(run="run 2").refusal is Refusal.COOLDOWN
    guard.begin(run="run 1", holder="worker 2")
    guard.rails.end(2, A.SUCCEEDED, "")
    assert guard.refused(run="run 1").refusal is Refusal.COOLDOWN


def test_the_budget_is_of_any_sixty_minutes(guard: Guard) -> None:
    for _ in range(LIMITS.hourly_budget):
        guard.done()
        guard.wait(600)
    refused = guard.refused()
    assert (refused.refusal, refused.until) == (Refusal.BUDGET, guard.in_(1200))
    assert "began 4 times within an hour, 4 times is the most" in refused.text
    guard.wait(1200)
    guard.done()
    guard.wait(60)
    assert guard.refused().until == guard.in_(540)


def test_the_breaker_opens_lets_one_try_through_and_closes(guard: Guard) -> None:
    roomy = replace(LIMITS, cooldown_seconds=0, hourly_budget=60)
    for state in (A.FAILED, A.SUCCEEDED, A.FAILED, A.ROLLED_BACK, A.ABANDONED):
        guard.done(state, limits=roomy)
        guard.wait(10)
    refused = guard.refused(limits=roomy)
    assert (refused.refusal, refused.until) == (Refusal.BREAKER_OPEN, guard.in_(1790))
    assert "3 times in a row" in refused.text
    assert guard.free(limits=roomy, **PRODUCER)
    guard.wait(1790)
    attempt = guard.begin(limits=roomy, run="run 2")
    assert guard.refused(limits=roomy).refusal is Refusal.TARGET_BUSY  # one try
    guard.wait(5)
    guard.rails.end(attempt.id, A.FAILED, "")
    assert guard.refused(limits=roomy).until == guard.in_(1800)
    guard.wait(1800)
    guard.done(A.SUCCEEDED, limits=roomy)
    assert guard.free(limits=roomy)


def test_refusals_count_as_nothing(guard: Guard) -> None:
    guard.done()
    for _ in range(20):
        guard.wait(1)
        guard.refused()
    guard.wait(40)
    guard.begin()


STORMS: list[tuple[dict[str, Any], IncidentState, bool]] = [
    ({}, S.DETECTED, True),
    ({}, S.ACKNOWLEDGED, True),
    ({}, S.MITIGATING, True),
    ({}, S.MITIGATED, False),  # its fault was seen to go
    ({}, S.VERIFYING, False),
    ({}, S.RESOLVED, False),
    ({"severity": Severity.SEV_3}, S.DETECTED, True),
    ({"severity": Severity.SEV_4}, S.DETECTED, False),  # a record
    ({"target": Component.MONITORING}, S.DETECTED, False),  # a blind observer
    ({"target": Component.KAFKA, "scenario": ScenarioId.KAFKA_LAG}, S.DETECTED, False),  # the same part
]


@pytest.mark.parametrize(("changes", "state", "storm"), STORMS)
def test_several_roots_at_once_are_left_to_people(
    guard: Guard, changes: dict[str, Any], state: IncidentState, storm: bool
) -> None:
    mysql = {"scenario": ScenarioId.MYSQL_NOT_WRITING, "target": Component.MYSQL, "severity": Severity.SEV_2}
    other = walk(guard.backend, opened(guard.backend, **mysql | changes), state)
    if not storm:
        assert guard.free()
        return
    refused = guard.refused()
    assert (refused.refusal, refused.until) == (Refusal.STORM, None)
    assert f"{other.id} ({other.target}, {other.severity.label})" in refused.text
    assert guard.free(**OPS)


def test_an_incident_that_came_back_is_a_root_too(guard: Guard) -> None:
    mysql = {"scenario": ScenarioId.MYSQL_NOT_WRITING, "target": Component.MYSQL}
    walk(guard.backend, walk(guard.backend, opened(guard.backend, **mysql), S.RESOLVED), S.REOPENED)
    assert guard.refused().refusal is Refusal.STORM


def test_what_a_person_takes_on_themselves_is_written_down(guard: Guard) -> None:
    guard.done(A.FAILED, limits=replace(LIMITS, breaker_failures=1, hourly_budget=1))
    opened(guard.backend, scenario=ScenarioId.MYSQL_NOT_WRITING, target=Component.MYSQL)
    limits = replace(LIMITS, breaker_failures=1, hourly_budget=1)
    assert guard.refused(limits=limits).refusal is Refusal.STORM
    guard.begin(limits=limits, **OPS)
    entry = guard.told()[-1]
    assert entry.text == (
        "restart_kafka on kafka begins; ops takes it on themselves (storm, breaker open, budget, cooldown)."
    )
    kinds = [each["refusal"] for each in entry.data["overridden"]]
    assert kinds == ["storm", "breaker_open", "budget", "cooldown"]


def test_the_weightiest_reason_is_given(guard: Guard) -> None:
    """Each is put on top of the ones before, and hides them."""
    limits = replace(LIMITS, hourly_budget=1, breaker_failures=1)
    guard.begin(limits=limits, run="run 0", services=())
    guard.rails.end(1, A.SUCCEEDED, "")
    guard.wait(1)
    reasons = [guard.refused(limits=limits).refusal]  # budget before cooldown
    guard.wait(3600)
    guard.done(A.FAILED, limits=limits)
    reasons.append(guard.refused(limits=limits).refusal)
    opened(guard.backend, scenario=ScenarioId.MYSQL_NOT_WRITING, target=Component.MYSQL)
    reasons.append(guard.refused(limits=limits).refusal)
    guard.rails.lease("kafka", holder="supervision", purpose="starting it", seconds=20)
    reasons.append(guard.refused(limits=limits).refusal)
    guard.begin(limits=limits, run="run 0", services=(), **OPS)
    reasons.append(guard.refused(limits=limits).refusal)
    walk(guard.backend, guard.incident, S.RESOLVED)
    reasons.append(guard.refused(limits=limits).refusal)
    guard.rails.pause(ScenarioId.KAFKA_DOWN, reason="maintenance", by="ops")
    reasons.append(guard.refused(limits=limits).refusal)
    guard.rails.pause("all", reason="maintenance", by="ops")
    reasons.append(guard.refused(limits=limits).refusal)
    assert reasons == [
        Refusal.BUDGET,
        Refusal.BREAKER_OPEN,
        Refusal.STORM,
        Refusal.SERVICE_LEASED,
        Refusal.TARGET_BUSY,
        Refusal.INCIDENT_OVER,
        Refusal.PAUSED,
        Refusal.KILL_SWITCH,
    ]


def test_a_refusal_is_told_once_in_a_run(guard: Guard) -> None:
    guard.done(run="run 0")
    refused = guard.refused()
    entry = guard.told()[-1]
    assert (entry.kind, entry.actor) == (EntryKind.ACTION_REFUSED, "guardrails")
    assert entry.text == f"restart_kafka on kafka was not begun. {refused.text}"
    assert refused.until is not None
    facts = {"refusal": "cooldown", "cooldown_seconds": 60, "rung": "restart_kafka", "run": "run 1"}
    assert facts.items() <= entry.data.items()
    assert entry.data["until"] == refused.until.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    lines = len(guard.told())
    guard.wait(1)
    guard.refused()
    assert len(guard.told()) == lines
    guard.refused(run="run 2")
    assert len(guard.told()) == lines + 1
    guard.rails.lease("kafka", holder="supervision", purpose="starting it", seconds=20)
    guard.refused()  # another reason
    assert len(guard.told()) == lines + 2
