"""What guardrails promise of actions, told once and asked of each: memory, SQLite and PostgreSQL."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from include.guardrails.errors import GuardrailError, UnknownActionError
from include.guardrails.model import Action, ActionState, Lease, Limits, Refusal, Refused
from include.incidents.errors import InvalidEntryError, UnknownIncidentError
from include.incidents.model import EntryKind, IncidentState
from include.playbook.ladder import RungId
from include.playbook.names import Component, ScenarioId, Severity
from tests.support.guarding import LIMITS, Guard
from tests.support.incident_stores import opened, told, walk

A, S = ActionState, IncidentState
PRODUCER = {"rung": RungId.RESTART_PRODUCER, "target": Component.PRODUCER, "services": ("btc_producer",)}
OPS = {"requested_by": "ops", "overrides": True}


def test_a_beginning_is_on_record_with_its_leases_and_its_line(guard: Guard) -> None:
    action = guard.begin(services=("kafka", "btc_producer", "kafka"))

    assert action == Action(
        id=1,
        incident_id=guard.incident.id,
        scenario=ScenarioId.KAFKA_DOWN,
        rung=RungId.RESTART_KAFKA,
        target=Component.KAFKA,
        requested_by="health",
        run="run 1",
        holder="worker 1",
        state=A.RUNNING,
        started_at=guard.in_(0),
        expires_at=guard.in_(30),
        services=("kafka", "btc_producer"),
    )
    for rails in (guard.rails, guard.another()):
        assert rails.actions() == rails.actions(incident_id=guard.incident.id) == (action,)
        purpose = f"restart_kafka of {guard.incident.id}"
        assert rails.leases() == tuple(
            Lease(service, "worker 1", purpose, guard.in_(0), guard.in_(30), action.id)
            for service in ("btc_producer", "kafka")
        )
    (entry,) = guard.told()
    assert (entry.kind, entry.actor, entry.event_at) == (EntryKind.ACTION_STARTED, "health", guard.in_(0))
    assert entry.text == "restart_kafka on kafka begins."
    facts = {"action": 1, "rung": "restart_kafka", "target": "kafka", "requested_by": "health", "run": "run 1"}
    assert facts.items() <= entry.data.items()
    assert entry.data["services"] == ["kafka", "btc_producer"]


@pytest.mark.parametrize(
    ("state", "says"),
    [
        (A.SUCCEEDED, "restart_kafka on kafka has helped: it answers again."),
        (A.FAILED, "restart_kafka on kafka has not helped: it answers again."),
        (A.ROLLED_BACK, "restart_kafka on kafka has not helped and was undone: it answers again."),
        (A.ABANDONED, "restart_kafka on kafka was abandoned: it answers again."),
    ],
)
def test_an_end_is_on_record_and_frees_the_leases(guard: Guard, state: ActionState, says: str) -> None:
    action = guard.begin()
    assert guard.rails.lease("mysql", holder="worker 1", purpose="looking", seconds=60)
    guard.wait(2.5)
    ended = guard.another().end(action.id, state, "it answers again.", {"pid": 7, "at": guard.in_(0)})

    at = guard.in_(0).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    data = {"pid": 7, "at": at}
    assert ended == replace(action, state=state, ended_at=guard.in_(0), text="it answers again.", data=data)
    assert guard.rails.actions() == (ended,)
    assert [lease.service for lease in guard.rails.leases()] == ["mysql"]
    entry = guard.told()[-1]
    assert (entry.kind, entry.actor, entry.text) == (EntryKind.ACTION_ENDED, "health", says)
    facts = {"state": state, "seconds": 2.5, "details": data, "rung": "restart_kafka", "run": "run 1"}
    assert facts.items() <= entry.data.items()


def test_what_has_ended_does_not_end_again(guard: Guard) -> None:
    ended = guard.done(A.FAILED)
    guard.wait(1)
    assert guard.rails.end(ended.id, A.SUCCEEDED, "after all") == ended
    assert len(guard.told()) == 2


def test_commands_that_make_no_sense_are_refused_and_change_nothing(guard: Guard) -> None:
    action = guard.begin()
    before = (guard.rails.actions(), guard.rails.leases(), guard.told())
    with pytest.raises(UnknownActionError, match="There is no action 77"):
        guard.rails.end(77, A.FAILED, "")
    with pytest.raises(GuardrailError, match="cannot end as running"):
        guard.rails.end(action.id, A.RUNNING, "")
    with pytest.raises(InvalidEntryError, match="secret"):
        guard.rails.end(action.id, A.SUCCEEDED, "", {"password": "x"})
    for ask in (guard.rails.begin, guard.rails.check):
        with pytest.raises(UnknownIncidentError):
            ask(guard.request(incident_id="INC-2026-0099"))
        with pytest.raises(GuardrailError, match="only a person"):
            ask(guard.request(overrides=True))
        for changes in (
            {"lease_seconds": 0},
            {"limits": Limits(-1, 1)},
            {"limits": Limits(1, 0)},
            {"limits": Limits(1, 1, breaker_failures=0)},
        ):
            with pytest.raises(GuardrailError, match="above zero"):
                ask(guard.request(**changes))
    assert (guard.rails.actions(), guard.rails.leases(), guard.told()) == before


def test_actions_are_listed_newest_first(guard: Guard) -> None:
    first = guard.done()
    guard.wait(10)
    second = guard.done(**PRODUCER)
    other = opened(guard.backend, scenario=ScenarioId.KAFKA_LAG)  # of the same part: no storm
    third = guard.done(incident_id=other.id, rung=RungId.RAISE_INTERVAL, target=Component.LAG, services=())
    rails = guard.another()
    assert rails.actions() == (third, second, first)
    assert rails.actions(limit=1) == rails.actions(incident_id=other.id) == (third,)
    assert rails.actions(since=second.started_at) == (third, second)


# --- refusals


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


# --- what nobody ends any more


@pytest.mark.parametrize(
    ("run", "lives", "after", "words"),
    [
        ("run 0", True, 0, "its run went on without ending it"),  # the same run tries again
        ("run 1", False, 0, "its process is gone"),
        ("run 1", True, 30, "its time was over"),
        ("run 1", None, 30, "its time was over"),
        ("run 1", True, 29.9, ""),
        ("run 1", None, 29.9, ""),  # on another host: nobody can tell
    ],
)
def test_a_beginning_settles_what_is_dead_on_its_target(
    guard: Guard, run: str, lives: bool | None, after: float, words: str
) -> None:
    dead = guard.begin(run="run 0")
    guard.lives["worker 1"] = lives
    guard.wait(after)
    request = guard.request(run=run, holder="worker 2", limits=replace(LIMITS, cooldown_seconds=0))
    looked, told_before = guard.rails.check(request), guard.told()
    answer = guard.rails.begin(request)
    if not words:
        assert isinstance(answer, Refused)
        assert looked == answer
        assert answer.refusal is Refusal.TARGET_BUSY
        return
    assert looked is None
    assert isinstance(answer, Action)
    settled = guard.rails.actions()[1]
    assert (settled.id, settled.state, settled.ended_at) == (dead.id, A.ABANDONED, guard.in_(0))
    assert settled.services == ("kafka",)
    assert [lease.action_id for lease in guard.rails.leases()] == [answer.id]
    ended, begun = guard.told()[len(told_before) :]
    assert (ended.kind, begun.kind) == (EntryKind.ACTION_ENDED, EntryKind.ACTION_STARTED)
    assert (ended.actor, ended.data["state"]) == ("guardrails", "abandoned")
    assert words in ended.text


def test_it_settles_also_who_holds_its_services_and_counts_them_as_failures(guard: Guard) -> None:
    other = opened(guard.backend, scenario=ScenarioId.KAFKA_LAG)  # of the same part: no storm
    guard.begin(**PRODUCER, incident_id=other.id, run="run 0")
    guard.lives["worker 1"] = False
    once = replace(LIMITS, cooldown_seconds=0, breaker_failures=1)
    processor = {"rung": RungId.RESTART_PROCESSOR, "target": Component.PROCESSOR, "holder": "worker 2"}
    guard.begin(**processor, limits=once, services=("btc_producer", "stream_processor"))
    assert [entry.kind for entry in guard.told(other)] == [EntryKind.ACTION_STARTED, EntryKind.ACTION_ENDED]
    assert [entry.kind for entry in guard.told()] == [EntryKind.ACTION_STARTED]
    guard.lives["worker 2"] = False
    refused = guard.refused(**processor | {"holder": "worker 3"}, run="run 2", limits=once, services=())
    assert refused.refusal is Refusal.BREAKER_OPEN


def test_a_refused_beginning_settles_all_the_same(guard: Guard) -> None:
    guard.begin(run="run 0")
    guard.lives["worker 1"] = False
    assert guard.refused(holder="worker 2").refusal is Refusal.COOLDOWN
    assert guard.rails.actions()[0].state is A.ABANDONED
    assert guard.rails.leases() == ()


def test_settling_takes_all_that_are_dead(guard: Guard) -> None:
    kafka = guard.begin(holder="gone")
    producer = guard.begin(**PRODUCER, holder="elsewhere")
    guard.begin(rung=RungId.RESTART_MYSQL, target=Component.MYSQL, services=("mysql",), lease_seconds=60)
    guard.rails.lease("exchange", holder="gone", purpose="", seconds=300)
    guard.lives |= {"gone": False, "elsewhere": None}
    assert [action.id for action in guard.rails.settle()] == [kafka.id]
    assert [lease.service for lease in guard.rails.leases()] == ["btc_producer", "mysql"]
    assert guard.rails.settle() == ()
    guard.wait(30)
    (settled,) = guard.rails.settle()
    assert (settled.id, settled.state, settled.services) == (producer.id, A.ABANDONED, ("btc_producer",))
    assert [action.state for action in guard.rails.actions()] == [A.RUNNING, A.ABANDONED, A.ABANDONED]
    assert guard.rails.end(settled.id, A.SUCCEEDED, "too late") == settled
