"""Kill switch, pauses and leases, asked of each kind of guardrails."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy.exc import DBAPIError

from include.guardrails.errors import GuardrailError
from include.guardrails.model import ActionState, Lease, Refusal, Switch, SwitchChange
from include.playbook.names import ScenarioId
from tests.support.guarding import Guard

KAFKA_DOWN = ScenarioId.KAFKA_DOWN


# --- switches


@pytest.mark.parametrize(
    ("scope", "refusal", "says"),
    [
        ("all", Refusal.KILL_SWITCH, "All automation was switched off by ops"),
        (KAFKA_DOWN, Refusal.PAUSED, "Automation for kafka_down was switched off by ops"),
    ],
)
def test_what_is_off_stays_off_until_it_is_resumed(guard: Guard, scope: str, refusal: Refusal, says: str) -> None:
    switch = guard.rails.pause(scope, reason=" broker moves ", by="ops")
    assert switch == Switch(scope, "broker moves", "ops", guard.in_(0))
    assert guard.another().switches() == (switch,)
    guard.wait(1_000_000)
    refused = guard.refused(requested_by="ops", overrides=True, after_recovery=True)
    assert (refused.refusal, refused.until) == (refusal, None)
    assert says in refused.text
    assert "broker moves" in refused.text
    assert guard.rails.resume(scope, by="night shift") is True
    assert guard.rails.resume(scope, by="night shift") is False
    assert guard.rails.switches() == ()
    assert guard.free()


def test_a_pause_may_end_by_itself(guard: Guard) -> None:
    until = guard.in_(60)
    guard.rails.pause(KAFKA_DOWN, reason="broker moves", by="ops", until=until)
    assert guard.refused().until == until
    guard.wait(59.9)
    assert len(guard.rails.switches()) == 1
    guard.wait(0.1)
    assert guard.rails.switches() == ()
    assert guard.free()
    assert guard.rails.resume(KAFKA_DOWN, by="ops") is False


def test_another_scenario_goes_on(guard: Guard) -> None:
    guard.rails.pause(ScenarioId.MYSQL_NOT_WRITING, reason="migration", by="ops")
    assert guard.free()


def test_every_change_is_kept(guard: Guard) -> None:
    moments = []
    for command in (
        lambda: guard.rails.pause("all", reason="storm", by="ops"),
        lambda: guard.rails.pause("all", reason="storm goes on", by="lead", until=guard.in_(60)),
        lambda: guard.rails.pause(KAFKA_DOWN, reason="broker moves", by="ops"),
        lambda: guard.rails.resume("all", by="lead"),
    ):
        moments.append(guard.in_(0))
        command()
        guard.wait(1)
    changes = (
        SwitchChange(moments[3], "all", False, "lead"),
        SwitchChange(moments[2], KAFKA_DOWN, True, "ops", "broker moves"),
        SwitchChange(moments[1], "all", True, "lead", "storm goes on", moments[1] + timedelta(seconds=60)),
        SwitchChange(moments[0], "all", True, "ops", "storm"),
    )
    assert guard.another().switch_changes() == changes
    assert guard.rails.switch_changes(limit=2) == changes[:2]
    assert guard.rails.switches() == (Switch(KAFKA_DOWN, "broker moves", "ops", moments[2]),)


def test_a_pause_needs_a_reason_a_person_and_a_known_scope(guard: Guard) -> None:
    wrong = [
        ("all", {"reason": " ", "by": "ops"}, "a reason must be said"),
        ("all", {"reason": "x", "by": ""}, "who does it must be said"),
        ("kafka", {"reason": "x", "by": "ops"}, "there are all, kafka_down"),
        ("all", {"reason": "x", "by": "ops", "until": guard.in_(0)}, "that is over"),
    ]
    for scope, said, match in wrong:
        with pytest.raises(GuardrailError, match=match):
            guard.rails.pause(scope, **said)
    with pytest.raises(GuardrailError, match="there are all, kafka_down"):
        guard.rails.resume("kafka", by="ops")
    with pytest.raises(GuardrailError, match="who does it"):
        guard.rails.resume("all", by=" ")
    assert guard.rails.switch_changes() == ()


def test_the_database_refuses_to_change_the_history(database_guard: Guard) -> None:
    database_guard.rails.pause("all", reason="storm", by="ops")
    statements = [
        "UPDATE guardrail_switch_changes SET reason = 'none'",
        "DELETE FROM guardrail_switch_changes",
    ]
    if database_guard.backend.kind == "sqlite":
        columns = 'number, key, at, scope, "off", "by", reason'
        statements.append(
            f"INSERT OR REPLACE INTO guardrail_switch_changes ({columns})"  # noqa: S608 - constants
            " SELECT number, key, at, scope, 0, 'nobody', '' FROM guardrail_switch_changes"
        )
    else:
        statements.append("TRUNCATE guardrail_switch_changes")
    for statement in statements:
        with pytest.raises(DBAPIError, match="never changed or removed"):
            database_guard.backend.execute(statement)
    assert database_guard.rails.switches()[0].reason == "storm"


# --- leases


def test_a_lease_is_taken_prolonged_and_given_back(guard: Guard) -> None:
    began = guard.in_(0)
    assert guard.rails.lease("kafka", holder="a", purpose="start", seconds=30) == Lease(
        "kafka", "a", "start", began, guard.in_(30)
    )
    guard.wait(10)
    other = guard.another()
    assert other.lease("kafka", holder="b", purpose="stop", seconds=30) is None
    assert other.lease("mysql", holder="b", purpose="stop", seconds=5) is not None
    prolonged = Lease("kafka", "a", "still starting", began, guard.in_(30))
    assert guard.rails.lease("kafka", holder="a", purpose="still starting", seconds=30) == prolonged
    assert [lease.service for lease in other.leases()] == ["kafka", "mysql"]
    guard.wait(5)
    assert other.leases() == (prolonged,)  # the other one has expired
    other.give_back("kafka", "b")
    assert other.leases() == (prolonged,)
    other.give_back("kafka", "a")
    other.give_back("kafka", "a")
    assert guard.rails.leases() == ()


@pytest.mark.parametrize(
    ("lives", "after", "taken"), [(True, 29.9, False), (None, 29.9, False), (False, 0, True), (True, 30, True)]
)
def test_a_lease_of_the_dead_is_taken_over(guard: Guard, lives: bool | None, after: float, taken: bool) -> None:
    guard.rails.lease("kafka", holder="a", purpose="start", seconds=30)
    guard.lives["a"] = lives
    guard.wait(after)
    assert guard.free() is taken
    lease = guard.rails.lease("kafka", holder="b", purpose="start", seconds=30)
    assert (lease is not None) is taken
    if lease:
        assert (lease.holder, lease.taken_at) == ("b", guard.in_(0))
        guard.rails.give_back("kafka", "a")  # too late: it is the other's now
        assert guard.rails.leases() == (lease,)


def test_what_an_action_has_is_given_back_by_its_end_alone(guard: Guard) -> None:
    action = guard.begin()
    leases = guard.rails.leases()
    for holder in ("supervision", action.holder):  # another thread of the same process has no part in it
        assert guard.rails.lease("kafka", holder=holder, purpose="start", seconds=300) is None
    guard.rails.give_back("kafka", action.holder)
    assert guard.rails.leases() == leases
    guard.rails.end(action.id, ActionState.SUCCEEDED, "")
    assert guard.rails.lease("kafka", holder="supervision", purpose="start", seconds=300) is not None


def test_whoever_takes_over_from_a_dead_action_settles_it(guard: Guard) -> None:
    guard.begin()
    guard.lives["worker 1"] = False
    assert guard.rails.lease("kafka", holder="supervision", purpose="start", seconds=30) is not None
    assert guard.rails.actions()[0].state is ActionState.ABANDONED
    assert "its process is gone" in guard.told()[-1].text
    assert guard.rails.settle() == ()
    assert [lease.holder for lease in guard.rails.leases()] == ["supervision"]


def test_a_lease_has_a_service_a_holder_and_a_time(guard: Guard) -> None:
    for service, holder, seconds in (("", "a", 1), ("kafka", "", 1), ("kafka", "a", 0)):
        with pytest.raises(GuardrailError):
            guard.rails.lease(service, holder=holder, purpose="", seconds=seconds)
    assert guard.rails.leases() == ()
