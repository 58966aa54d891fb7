"""Supervision and remedies on one process: never two starts, never a lasting stop, and a store that may be away."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from include.guardrails.model import ActionState
from include.services.fake import FakeServiceController
from include.services.leases import LeaseAnswer, LeaseReply
from include.services.supervision import RestartBudget
from include.services.supervision_report import Deed
from include.services.supervision_store import HoldReason
from tests.support.leasing import QUICK, REMEDY, Hands, Room
from tests.support.waiting import until


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
