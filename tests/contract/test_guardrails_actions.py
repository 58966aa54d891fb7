"""What guardrails promise of actions, told once and asked of each: memory, SQLite and PostgreSQL."""

from __future__ import annotations

from dataclasses import replace

import pytest

from include.guardrails.errors import GuardrailError, UnknownActionError
from include.guardrails.model import Action, ActionState, Lease, Limits, Refusal, Refused
from include.incidents.errors import InvalidEntryError, UnknownIncidentError
from include.incidents.model import EntryKind
from include.playbook.ladder import RungId
from include.playbook.names import Component, ScenarioId
from tests.support.guarding import LIMITS, PRODUCER, Guard
from tests.support.incident_stores import opened

A = ActionState


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
