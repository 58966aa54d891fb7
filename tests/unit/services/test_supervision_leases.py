"""Supervision and remedies on one process: never two starts, never a lasting stop, and a store that may be away."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import threading
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from include.guardrails.holders import this_process
from include.guardrails.memory import MemoryGuardrails
from include.guardrails.model import Action, ActionRequest, ActionState, Limits
from include.incidents.errors import StoreUnavailableError
from include.incidents.memory_store import MemoryIncidentStore
from include.incidents.model import NewIncident
from include.playbook.ladder import RungId
from include.playbook.names import Cause, Component, ScenarioId, Severity
from include.runtime.clock import ManualClock, SystemClock
from include.services.fake import FakeServiceController
from include.services.guardrail_leases import GuardrailLeases
from include.services.leases import LeaseAnswer, LeaseReply, NoLeases, ServiceLease, StopOrigin
from include.services.process_supervisor import ProcessSupervisor
from include.services.supervision import RestartBudget
from include.services.supervision_report import Deed, Pace
from include.services.supervision_store import HoldReason, SupervisionStore
from tests.support.supervising import Lines, Switch

QUICK = Pace(report=0.2, look=0.02, ask_switch=0.05, retry_host=0.02, start=5, stop=2)
BUDGET = RestartBudget(starts=30, window_seconds=60, cooldown_seconds=60)
REMEDY, US = "the remedy's process", "the triggerer"


@dataclass
class Hands:
    """Guardrails in memory, whose remedies may die, and whose store may be away."""

    clock: Any = field(default_factory=SystemClock)
    dead: set[str] = field(default_factory=set)
    away: bool = False

    def __post_init__(self) -> None:
        self.incidents = MemoryIncidentStore(self.clock)
        self.guardrails = MemoryGuardrails(self.clock, self.incidents, alive=lambda holder: holder not in self.dead)
        self.incident = self.incidents.open(_about_the_producer(self.now()))[0].id
        within = self.incidents.within

        def perhaps(work: Any, *, write: bool) -> Any:
            if self.away:
                raise StoreUnavailableError("the disk is gone")
            return within(work, write=write)

        self.incidents.within = perhaps  # type: ignore[method-assign]

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.clock.time_ms() / 1000, UTC)

    def leases(self, holder: str = US) -> GuardrailLeases:
        return GuardrailLeases(self.guardrails, self.clock, holder)

    def begin(self, service: str = "worker", seconds: float = 60) -> Action:
        """A remedy begins, with the service in its hands."""
        request = ActionRequest(
            *(self.incident, ScenarioId.PRODUCER_SILENT, RungId.RESTART_PRODUCER, Component.PRODUCER, "health"),
            *(f"run {time.monotonic_ns()}", REMEDY, Limits(0, 1000, 1000), seconds, (service,)),
        )
        action = self.guardrails.begin(request)
        assert isinstance(action, Action), action
        return action

    def end(self, action: Action, state: ActionState = ActionState.SUCCEEDED) -> None:
        self.guardrails.end(action.id, state, "done")


def _about_the_producer(now: datetime) -> NewIncident:
    scenario, target, cause = ScenarioId.PRODUCER_SILENT, Component.PRODUCER, Cause.PROCESS_GONE
    return NewIncident(scenario, target, cause, Severity.SEV_3, "It is gone.", now, "watch", "because")


@dataclass
class Told:
    """News of supervision."""

    deeds: list[Deed] = field(default_factory=list)

    def tell(self, service: str, deed: Deed, text: str, data: dict[str, Any]) -> None:
        self.deeds.append(deed)

    def close(self) -> None: ...


@dataclass
class Room:
    """One supervised service with a remedy beside it."""

    folder: Path
    controller: FakeServiceController
    hands: Hands = field(default_factory=Hands)
    log: Lines = field(default_factory=Lines)
    news: Told = field(default_factory=Told)
    budget: RestartBudget = BUDGET

    @property
    def store(self) -> SupervisionStore:
        return SupervisionStore("worker", self.folder)

    @property
    def pid(self) -> int | None:
        return self.controller.status("worker").pid

    @contextlib.asynccontextmanager
    async def supervised(self) -> AsyncIterator[ProcessSupervisor]:
        supervisor = ProcessSupervisor(
            *("worker", self.controller, self.store, Switch(), self.budget, self.log, "run 1"),
            pace=QUICK,
            leases=self.hands.leases(),
            news=self.news,
        )
        task = asyncio.create_task(supervisor.run())
        try:
            yield supervisor
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def running(self, other_than: int | None = None) -> int:
        await until(lambda: self.pid not in (None, other_than))
        assert self.pid
        return self.pid

    async def watched(self) -> int:
        """A process that supervision has seen."""
        pid = await self.running()
        await until(lambda: (known := self.store.load().process) and known.pid == pid)
        await until(lambda: not self.hands.guardrails.leases())
        return pid


async def until(condition: Any, seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not come true in time"
        await asyncio.sleep(0.002)


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    controller = FakeServiceController({"worker": ["sleep", "60"]}, tmp_path / "log", settle_seconds=0.02)
    yield Room(tmp_path, controller)
    controller.close()


async def test_a_start_has_the_lease_while_it_lasts_and_gives_it_back(room: Room, monkeypatch: Any) -> None:
    held: list[str] = []
    start = room.controller.start

    def watched(name: str, timeout: float) -> Any:
        held.extend(f"{lease.service} {lease.purpose}" for lease in room.hands.guardrails.leases())
        return start(name, timeout)

    monkeypatch.setattr(room.controller, "start", watched)
    async with room.supervised():
        await room.watched()
        await until(lambda: not room.hands.guardrails.leases())
    assert held == ["worker supervision"]


async def test_while_a_remedy_has_it_supervision_waits_says_so_once_and_starts_nothing(room: Room) -> None:
    async with room.supervised():
        first = await room.watched()
        action = room.hands.begin()
        os.kill(first, signal.SIGKILL)
        await until(lambda: room.log.count("in the hands of"))
        await asyncio.sleep(0.1)  # several looks
        assert room.pid is None
        assert room.log.count("in the hands of restart_producer") == 1
        assert room.news.deeds == [Deed.STARTED, Deed.WAITED]
        await asyncio.sleep(QUICK.report)
        assert room.log.count("in the hands of restart_producer") == 2, "and from time to time while it lasts"
        room.hands.end(action)
        await room.running(other_than=first)
        await room.watched()
    assert room.controller.starts["worker"] == 2
    assert room.news.deeds == [Deed.STARTED, Deed.WAITED, Deed.RESTARTED]


async def test_what_a_remedy_started_just_before_it_gave_the_lease_back_is_not_our_start(room: Room) -> None:
    async with room.supervised() as supervisor:
        first, take = await room.watched(), supervisor.leases.take

        def started_meanwhile(service: str, seconds: float) -> LeaseReply:
            room.controller.start("worker", 5)
            return take(service, seconds)

        supervisor.leases.take = started_meanwhile  # type: ignore[method-assign]
        os.kill(first, signal.SIGKILL)
        await room.running(other_than=first)
        await until(lambda: room.log.count("Adopted worker"))
    assert room.log.count("Started worker") == 1, "the first one"
    assert room.news.deeds == [Deed.STARTED]
    assert len(room.store.load().history.starts_ms) == 2


async def test_a_stop_by_a_remedy_is_no_hold_and_its_start_is_adopted(room: Room) -> None:
    async with room.supervised():
        first = await room.watched()
        action = room.hands.begin()
        await asyncio.to_thread(room.controller.restart, "worker", 5)
        room.hands.end(action)
        second = await room.running(other_than=first)
        await until(lambda: (known := room.store.load().process) and known.pid == second)
    assert room.store.load().hold is None
    assert room.controller.starts["worker"] == 2, "the remedy's own and nobody else's"


@pytest.mark.parametrize("settled", [False, True], ids=["nobody noticed", "settled by another run"])
async def test_a_remedy_that_dies_between_stop_and_start_does_not_leave_it_down(room: Room, settled: bool) -> None:
    async with room.supervised():
        first = await room.watched()
        room.hands.begin()
        await asyncio.to_thread(room.controller.stop, "worker", 5)
        room.hands.dead.add(REMEDY)
        if settled:
            room.hands.guardrails.settle()
        await room.running(other_than=first)
    assert room.store.load().hold is None
    assert room.log.count("stopped by a remedy") == 1


async def test_that_holds_for_a_triggerer_which_was_away_meanwhile(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not know when the process ended, and the dead remedy may be settled long since."""
    monkeypatch.setattr("include.services.guardrail_leases._JUST_NOW", timedelta(0))
    async with room.supervised():
        first = await room.watched()
    room.hands.begin()
    room.controller.stop("worker", 5)
    room.hands.dead.add(REMEDY)
    room.hands.guardrails.settle()
    await asyncio.sleep(0.02)
    async with room.supervised():
        await room.running(other_than=first)


async def test_a_remedy_whose_time_is_over_has_nothing_any_more(room: Room) -> None:
    async with room.supervised():
        first = await room.watched()
        room.hands.begin(seconds=0.3)
        await asyncio.to_thread(room.controller.stop, "worker", 5)
        await room.running(other_than=first)


async def test_a_stop_by_a_person_is_a_hold_also_after_a_remedy_of_earlier(room: Room) -> None:
    async with room.supervised():
        await room.watched()
        action = room.hands.begin()
        room.hands.end(action, ActionState.FAILED)
        room.hands.guardrails.settle()
        with contextlib.ExitStack() as stack:
            stack.enter_context(_later(room.hands, seconds=60))
            await asyncio.to_thread(room.controller.stop, "worker", 5)
            await until(lambda: room.store.load().hold)
            await asyncio.sleep(0.1)
    hold = room.store.load().hold
    assert hold
    assert hold.reason is HoldReason.STOPPED_AT_HOST
    assert room.pid is None


@contextlib.contextmanager
def _later(hands: Hands, seconds: float) -> Iterator[None]:
    """The actions on record are so old."""
    actions = hands.guardrails._rows.actions
    for key, action in actions.items():
        shift = timedelta(seconds=seconds)
        moved = {"started_at": action.started_at - shift, "ended_at": action.ended_at and action.ended_at - shift}
        actions[key] = type(action)(**{name: getattr(action, name) for name in action.__slots__} | moved)
    yield


async def test_without_the_store_it_starts_at_once_and_says_why(room: Room) -> None:
    async with room.supervised():
        first = await room.watched()
        room.hands.away = True
        begin = time.monotonic()
        os.kill(first, signal.SIGKILL)
        await room.running(other_than=first)
        assert time.monotonic() - begin < 0.5
        await until(lambda: room.log.count("without a word with the remedies: the disk is gone"))


async def test_a_store_that_hangs_costs_half_a_second_and_what_it_says_too_late_is_given_back(room: Room) -> None:
    async with room.supervised() as supervisor:
        first = await room.watched()
        await until(lambda: not room.hands.guardrails.leases())
        go_on, take, late = threading.Event(), supervisor.leases.take, list[LeaseAnswer]()

        def slow(service: str, seconds: float) -> LeaseReply:
            go_on.wait(5)
            reply = take(service, seconds)
            late.append(reply.answer)
            return reply

        supervisor.leases.take = slow  # type: ignore[method-assign]
        begin = time.monotonic()
        os.kill(first, signal.SIGKILL)
        await room.running(other_than=first)
        assert 0.4 < time.monotonic() - begin < 1.5
        await until(lambda: room.log.count("no answer within 0.5 s"))
        await until(lambda: room.log.count("Started worker") == 2)
        await asyncio.sleep(0.05)  # its own return of the lease, which it has not got, is over
        go_on.set()
        await until(lambda: late)
        assert late == [LeaseAnswer.TAKEN]
        await until(lambda: not room.hands.guardrails.leases(), 2)


async def test_a_stop_that_could_not_be_explained_at_first_is_explained_later(room: Room) -> None:
    async with room.supervised():
        first = await room.watched()
        room.hands.begin()
        room.hands.away = True
        await asyncio.to_thread(room.controller.stop, "worker", 5)
        await until(lambda: room.store.load().hold)
        room.hands.away = False
        room.hands.dead.add(REMEDY)
        await room.running(other_than=first)
    assert room.log.count("no longer held: a remedy had stopped it") == 1


async def test_in_any_order_there_is_one_process_and_in_the_end_it_runs(room: Room) -> None:
    """Remedies stop, start, fail and die while supervision does its part."""
    room.budget = RestartBudget(starts=30, window_seconds=0.01, cooldown_seconds=60)  # no back-off
    endings = ["done", "dies after the stop", "fails to start", "done", "dies before the stop", "dies after the start"]
    async with room.supervised():
        for round_, ending in enumerate(endings * 2):
            before = await room.watched()
            action = room.hands.begin()
            if ending != "dies before the stop":
                await asyncio.to_thread(room.controller.stop, "worker", 5)
                assert room.pid is None
            else:
                os.kill(before, signal.SIGKILL)
            await asyncio.sleep(0.03 * (round_ % 3))
            starts = room.controller.starts["worker"]
            if ending in ("done", "dies after the start"):
                assert room.pid is None, "the remedy has it"
                await asyncio.to_thread(room.controller.start, "worker", 5)
                assert room.controller.starts["worker"] == starts + 1, "nobody else had started it"
            if ending in ("done", "fails to start"):
                room.hands.end(action, ActionState.SUCCEEDED if ending == "done" else ActionState.FAILED)
            else:
                room.hands.dead.add(REMEDY)
            await room.running(other_than=before)
            await asyncio.sleep(0.05)
            assert room.controller.starts["worker"] == starts + 1, ending
            room.hands.guardrails.settle()
            room.hands.dead.clear()


# --- the lease itself, by the clock
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
