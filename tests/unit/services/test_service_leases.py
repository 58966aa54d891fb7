"""The lease of a service, by the clock: who may start it, who has stopped it, and a store that may be away."""

from __future__ import annotations

import time
from datetime import datetime, timedelta

import pytest

from include.guardrails.holders import this_process
from include.runtime.clock import ManualClock, SystemClock
from include.services.leases import LeaseAnswer, LeaseReply, NoLeases, ServiceLease, StopOrigin
from tests.support.leasing import REMEDY, Hands


@pytest.fixture
def hands() -> Hands:
    return Hands(ManualClock())


def _at(hands: Hands, seconds: float) -> datetime:
    return hands.now() + timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("what", "answer"),
    [
        ("nobody", LeaseAnswer.TAKEN),
        ("we already", LeaseAnswer.TAKEN),
        ("another triggerer", LeaseAnswer.HELD),
        ("a remedy", LeaseAnswer.HELD),
        ("a remedy of another service", LeaseAnswer.TAKEN),
        ("a dead remedy", LeaseAnswer.TAKEN),
        ("a remedy, expired", LeaseAnswer.TAKEN),
        ("store away", LeaseAnswer.UNKNOWN),
    ],
)
def test_may_it_be_started(hands: Hands, what: str, answer: LeaseAnswer) -> None:
    match what:
        case "we already":
            hands.leases().take("worker", 10)
        case "another triggerer":
            hands.leases("another").take("worker", 10)
        case "a remedy" | "a dead remedy" | "a remedy, expired":
            hands.begin(seconds=60)
        case "a remedy of another service":
            hands.begin("other")
    hands.dead |= {REMEDY} if what == "a dead remedy" else set()
    hands.clock.advance(61 if what == "a remedy, expired" else 0)
    hands.away = what == "store away"
    reply = hands.leases().take("worker", 10)
    assert reply.answer is answer
    if what == "a remedy":
        assert reply.purpose == f"restart_producer of {hands.incident}"
        assert reply.until_ms == hands.clock.time_ms() + 60_000


def test_a_fault_of_the_guardrails_themselves_is_an_answer_too(hands: Hands, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hands, "guardrails", None)
    leases = hands.leases()
    leases.open()
    leases.give_back("worker")
    assert leases.take("worker", 10).why == "'NoneType' object has no attribute 'lease'"
    assert leases.origin_of_stop("worker", None, None) is StopOrigin.UNKNOWN


def test_only_our_own_lease_is_given_back(hands: Hands) -> None:
    ours, other = hands.leases(), hands.leases("another")
    other.take("worker", 10)
    ours.give_back("worker")
    assert ours.take("worker", 10).answer is LeaseAnswer.HELD
    other.give_back("worker")
    assert ours.take("worker", 10).answer is LeaseAnswer.TAKEN


@pytest.mark.parametrize(
    ("story", "seen", "origin"),
    [
        ("", True, StopOrigin.PERSON),
        ("begin 5", True, StopOrigin.REMEDY),
        ("begin 5 dies", True, StopOrigin.REMEDY),
        ("begin 5 dies settle", True, StopOrigin.REMEDY),
        ("begin 5 end 1", True, StopOrigin.REMEDY),  # it stopped as its last deed
        ("begin 5 end 3", True, StopOrigin.PERSON),
        ("begin 61", True, StopOrigin.REMEDY),  # expired a second ago
        ("begin 90", True, StopOrigin.PERSON),
        ("begin 5 dies settle 3600", True, StopOrigin.PERSON),
        ("other 5", True, StopOrigin.PERSON),
        ("supervision 5", True, StopOrigin.PERSON),
        ("overdue 5", True, StopOrigin.REMEDY),
        ("away", True, StopOrigin.UNKNOWN),
        ("begin 5 dies settle 3600", False, StopOrigin.REMEDY),  # when the process ended, nobody knows
        ("begin 5 end 3600", False, StopOrigin.PERSON),
        ("begin 3600", False, StopOrigin.REMEDY),
        ("begin 5 dies settle restarted 3600", False, StopOrigin.PERSON),  # that remedy had stopped an earlier one
    ],
)
def test_who_stopped_it(hands: Hands, story: str, seen: bool, origin: StopOrigin) -> None:
    started, action = _at(hands, -100), None
    for word in story.split():
        match word:
            case "begin" | "other":
                action = hands.begin("worker" if word == "begin" else "other")
            case "end":
                assert action
                hands.end(action)
            case "dies":
                hands.dead.add(REMEDY)
            case "settle":
                hands.guardrails.settle()
            case "supervision":
                hands.leases().take("worker", 60)
            case "overdue":
                hands.guardrails.lease("worker", holder=REMEDY, purpose="overdue", seconds=60)
            case "away":
                hands.away = True
            case "restarted":
                hands.clock.advance(1)
                started = hands.now()
            case seconds:
                hands.clock.advance(float(seconds))
    assert hands.leases().origin_of_stop("worker", started, hands.now() if seen else None) is origin


def test_what_comes_after_the_stop_has_not_done_it(hands: Hands) -> None:
    stopped = hands.now()
    hands.clock.advance(1)
    hands.begin()
    assert hands.leases().origin_of_stop("worker", None, stopped) is StopOrigin.PERSON


@pytest.mark.parametrize("opened", [False, True])
async def test_only_while_the_store_is_being_opened_it_gets_more_time(
    monkeypatch: pytest.MonkeyPatch, opened: bool
) -> None:
    monkeypatch.setattr("include.services.leases._ANSWER_SECONDS", 0.05)

    class Slow(NoLeases):
        def take(self, service: str, seconds: float) -> LeaseReply:
            time.sleep(0.15)
            return super().take(service, seconds)

    lease = ServiceLease("worker", Slow(), SystemClock())
    if opened:
        await lease.open()
    assert (await lease.take(5)).answer is (LeaseAnswer.UNKNOWN if opened else LeaseAnswer.TAKEN)


@pytest.mark.parametrize(
    ("holder", "after", "answer"),
    [
        (this_process(), 10, LeaseAnswer.HELD),
        (this_process(), 61, LeaseAnswer.UNKNOWN),
        ("another host", 10, LeaseAnswer.HELD),
        (this_process().rpartition(":")[0] + ":1", 10, LeaseAnswer.UNKNOWN),  # a process that is dead
    ],
    ids=["alive", "expired", "nobody knows", "dead"],
)
async def test_the_last_word_on_a_remedy_counts_while_the_store_is_away(
    holder: str, after: float, answer: LeaseAnswer
) -> None:
    clock = ManualClock()
    held = LeaseReply(LeaseAnswer.HELD, holder, "restart_producer", clock.time_ms() + 60_000)
    replies = iter([held, LeaseReply(LeaseAnswer.UNKNOWN, why="away")])

    class Leases(NoLeases):
        def take(self, service: str, seconds: float) -> LeaseReply:
            return next(replies)

    lease = ServiceLease("worker", Leases(), clock)
    assert (await lease.take(5)).answer is LeaseAnswer.HELD
    clock.advance(after)
    assert (await lease.take(5)).answer is answer
