"""The supervision loop with real little processes under the fake host: what happens when something dies."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from include.services.controller import ServiceState
from include.services.dag_switch import DagSwitch
from include.services.fake import FakeServiceController
from include.services.process_supervisor import ProcessSupervisor
from include.services.processes import ProcessIdentity, group_members, identify, is_alive
from include.services.supervision import RestartBudget
from include.services.supervision_store import Hold, HoldReason, SupervisionStore
from tests.support.supervising import QUICK, Lines, Switch, supervised
from tests.support.waiting import until

BUDGET = RestartBudget(starts=3, window_seconds=60, cooldown_seconds=0.6)


@dataclass
class Room:
    """One supervised service and everything around it."""

    folder: Path
    controller: FakeServiceController
    switch: Switch = field(default_factory=Switch)
    log: Lines = field(default_factory=Lines)

    @property
    def store(self) -> SupervisionStore:
        return SupervisionStore("worker", self.folder)

    def supervisor(self, run_id: str = "run 1") -> ProcessSupervisor:
        return ProcessSupervisor(
            "worker", self.controller, self.store, self.switch, BUDGET, self.log, run_id=run_id, pace=QUICK
        )

    @property
    def process(self) -> ProcessIdentity | None:
        return identify(self.controller.status("worker").pid)

    async def running(self, other_than: ProcessIdentity | None = None) -> ProcessIdentity:
        await until(lambda: self.process not in (None, other_than))
        assert self.process
        return self.process

    def kill(self) -> ProcessIdentity:
        process = self.process
        assert process
        os.kill(process.pid, signal.SIGKILL)
        return process


def _room(folder: Path, program: str) -> Iterator[Room]:
    controller = FakeServiceController({"worker": ["sh", "-c", program]}, folder / "log", settle_seconds=0.1)
    yield Room(folder, controller)
    controller.close()


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    yield from _room(tmp_path, "exec sleep 60")


@pytest.fixture
def crashing(tmp_path: Path) -> Iterator[Room]:
    yield from _room(tmp_path, "echo no such broker; exit 7")


async def test_a_process_that_is_not_there_is_started_and_a_killed_one_is_back_in_no_time(room: Room) -> None:
    async with supervised(room.supervisor()):
        first = await room.running()
        await until(lambda: "Started worker" in room.log)
        room.kill()
        begin = time.monotonic()
        second = await room.running(other_than=first)
        assert time.monotonic() - begin < 2  # it was not found by looking around, which happens once a minute
        await until(lambda: f"pid {second.pid}" in room.log)
    assert "has ended, exit code -9" in room.log
    assert is_alive(second), "the end of the triggerer must not end the process"


async def test_what_it_says_while_the_process_runs(room: Room) -> None:
    async with supervised(room.supervisor()):
        process = await room.running()
        await until(lambda: f"worker runs: pid {process.pid}" in room.log)


async def test_the_next_triggerer_adopts_the_same_process_and_goes_on_restarting_it(room: Room) -> None:
    async with supervised(room.supervisor()):
        process = await room.running()
        await until(lambda: room.store.load().process == process)
    async with supervised(room.supervisor()):
        await until(lambda: "Supervision goes on" in room.log)
        assert room.process == process
        assert room.store.load().history.starts_ms[1:] == (), "adoption of the known process is not another start"
        room.kill()
        await room.running(other_than=process)
    assert room.controller.starts["worker"] == 2


async def test_a_process_started_by_hand_is_adopted(room: Room) -> None:
    room.controller.start("worker", 5)
    process = room.process
    async with supervised(room.supervisor()):
        await until(lambda: "Adopted worker, which was running already" in room.log)
    assert room.process == process
    assert room.controller.starts["worker"] == 1


async def test_two_supervisors_never_make_two_copies(room: Room) -> None:
    async with supervised(room.supervisor()), supervised(room.supervisor()):
        process = await room.running()
        for _ in range(2):
            room.kill()
            process = await room.running(other_than=process)
            await asyncio.sleep(0.2)
            assert room.process == process
    assert room.controller.starts["worker"] == 3


async def test_leftovers_of_a_dead_process_are_swept_before_the_next_start(tmp_path: Path) -> None:
    for room in _room(tmp_path, "sleep 60 & sleep 60; true"):
        async with supervised(room.supervisor()):
            first = await room.running()
            group = first.pid
            await until(lambda: "Started worker" in room.log)  # noqa: B023
            await until(lambda: len(group_members(group)) == 3)  # noqa: B023
            room.kill()
            await room.running(other_than=first)
            assert group_members(group) == ()


async def test_a_crash_loop_ends_in_a_message_and_the_next_run_cools_down_before_its_one_try(crashing: Room) -> None:
    given_up = await asyncio.wait_for(crashing.supervisor().run(), 10)
    assert crashing.controller.starts["worker"] == BUDGET.starts
    assert (given_up.starts, given_up.exit_code) == (3, 7)
    for fact in ("worker does not stay up", "started 3 times", "exit code 7", "no such broker", "UTC"):
        assert fact in given_up.message
    begin = time.monotonic()
    again = await asyncio.wait_for(crashing.supervisor().run(), 10)
    assert time.monotonic() - begin >= BUDGET.cooldown_seconds * 0.9
    assert crashing.controller.starts["worker"] == BUDGET.starts + 1
    assert "cooling down, next try at" in crashing.log
    assert "It was tried once more" in again.message


async def test_while_the_host_is_away_the_process_is_watched_and_restarted_once_it_is_back(room: Room) -> None:
    async with supervised(room.supervisor()):
        first = await room.running()
        await until(lambda: room.store.load().process == first)
        room.controller.unreachable = True
        os.kill(first.pid, signal.SIGKILL)
        await until(lambda: "has ended" in room.log)
        await until(lambda: "does not answer" in room.log)
        room.controller.unreachable = False
        await room.running(other_than=first)
    assert room.controller.starts["worker"] == 2


async def test_a_triggerer_that_comes_up_while_the_host_is_away_watches_the_process_it_remembers(room: Room) -> None:
    async with supervised(room.supervisor()):
        first = await room.running()
        await until(lambda: room.store.load().process == first)
    room.controller.unreachable = True
    async with supervised(room.supervisor()):
        await until(lambda: "Supervision goes on" in room.log)
        assert is_alive(first)


@pytest.mark.parametrize("position", [DagSwitch.PAUSED, DagSwitch.UNKNOWN], ids=["paused", "paused, then API away"])
async def test_a_paused_dag_leaves_the_process_alone_and_starts_nothing(room: Room, position: DagSwitch) -> None:
    async with supervised(room.supervisor()):
        first = await room.running()
        room.switch.position = DagSwitch.PAUSED
        await asyncio.sleep(3 * QUICK.ask_switch)
        room.switch.position = position
        assert is_alive(first)
        room.kill()
        await until(lambda: "This Dag is paused, so it is not started" in room.log)
        await asyncio.sleep(0.3)
        assert room.process is None
        room.switch.position = DagSwitch.ON
        await room.running(other_than=first)


async def test_a_switch_that_nobody_knows_counts_as_on(room: Room) -> None:
    room.switch.position = DagSwitch.UNKNOWN
    async with supervised(room.supervisor()):
        await room.running()


async def _end_by_person(room: Room) -> ProcessIdentity:
    supervisor = room.supervisor()
    async with supervised(supervisor):
        process = await room.running()
        await until(lambda: room.store.load().process == process)
    await supervisor.end_by_person()
    return process


async def test_a_run_ended_by_a_person_stops_the_process_gracefully_and_the_next_run_holds_it(room: Room) -> None:
    process = await _end_by_person(room)
    assert room.controller.status("worker").state is ServiceState.STOPPED
    assert room.controller.status("worker").exit_code == -signal.SIGTERM
    hold = room.store.load().hold
    assert hold == Hold(HoldReason.RUN_ENDED_BY_PERSON, hold.since_ms, process, ended_runs=("run 1",))
    async with supervised(room.supervisor("run 2")):
        await until(lambda: "worker is held" in room.log)
        await asyncio.sleep(0.2)
        assert room.process is None
    assert room.controller.starts["worker"] == 1


async def _switch_off_and_on(room: Room, supervisor: ProcessSupervisor) -> None:
    room.switch.position = DagSwitch.PAUSED
    await until(lambda: (hold := room.store.load().hold) and hold.dag_paused)
    assert room.process is None
    room.switch.position = DagSwitch.ON


async def _start_by_hand(room: Room, supervisor: ProcessSupervisor) -> None:
    await asyncio.to_thread(room.controller.start, "worker", 5)


async def _clear_the_task(room: Room, supervisor: ProcessSupervisor) -> None:
    await supervisor.clear_by_person()


@pytest.mark.parametrize("release", [_switch_off_and_on, _start_by_hand, _clear_the_task])
async def test_what_brings_a_held_process_back(room: Room, release: Callable) -> None:
    held = await _end_by_person(room)
    supervisor = room.supervisor("run 2")
    async with supervised(supervisor):
        await until(lambda: "worker is held" in room.log)
        await release(room, supervisor)
        if release is not _clear_the_task:  # that one ends the try; the next one goes on
            await room.running(other_than=held)
            await until(lambda: "is no longer held" in room.log)
    async with supervised(room.supervisor("run 2")):
        await room.running(other_than=held)
        await until(lambda: room.store.load().hold is None)
    assert room.controller.starts["worker"] == 2


@pytest.mark.parametrize("cleared", ["run 1", "run 2"])
async def test_clearing_the_task_of_an_ended_run_brings_the_process_back(room: Room, cleared: str) -> None:
    held = await _end_by_person(room)
    await room.supervisor("run 2").end_by_person()  # the held run was ended as well
    async with supervised(room.supervisor("run 3")):
        await until(lambda: "worker is held" in room.log)
    async with supervised(room.supervisor(cleared)):
        await room.running(other_than=held)


async def test_paused_then_ended_then_unpaused_is_a_wish_to_have_it_back(room: Room) -> None:
    room.switch.position = DagSwitch.PAUSED
    room.controller.start("worker", 5)
    process = await _end_by_person(room)
    assert room.process is None
    room.switch.position = DagSwitch.ON
    async with supervised(room.supervisor("run 2")):
        await room.running(other_than=process)


async def test_clearing_the_task_leaves_a_running_process_alone(room: Room) -> None:
    supervisor = room.supervisor()
    async with supervised(supervisor):
        process = await room.running()
    await supervisor.clear_by_person()
    assert room.process == process


async def test_a_stop_through_the_host_is_honoured_and_a_start_ends_it(room: Room) -> None:
    async with supervised(room.supervisor()):
        first = await room.running()
        await asyncio.to_thread(room.controller.stop, "worker", 2)
        await until(lambda: "worker is held: it was stopped through the process host" in room.log)
        await asyncio.sleep(0.2)
        assert room.process is None
        await asyncio.to_thread(room.controller.restart, "worker", 2)
        await room.running(other_than=first)
        await until(lambda: "Adopted" in room.log)
        second = room.process
        await asyncio.to_thread(room.controller.restart, "worker", 2)  # by a remedy, in one go
        await room.running(other_than=second)
        await until(lambda: room.store.load().hold is None and room.store.load().process == room.process)


@pytest.mark.parametrize("by", ["host", "kill"])
async def test_what_happened_while_no_triggerer_looked_is_noticed(room: Room, by: str) -> None:
    async with supervised(room.supervisor()):
        process = await room.running()
        await until(lambda: room.store.load().process == process)
    if by == "host":
        room.controller.stop("worker", 2)
    else:
        room.kill()
    async with supervised(room.supervisor()):
        await until(lambda: f"worker (pid {process.pid}) has ended" in room.log)
        if by == "host":
            await until(lambda: "it was stopped through the process host" in room.log)
        else:
            await room.running(other_than=process)


async def test_a_stop_by_a_person_waits_for_a_start_that_is_under_way(room: Room) -> None:
    supervisor = room.supervisor()
    task = asyncio.create_task(supervisor.run())
    await until(lambda: room.controller.starts["worker"] == 1)  # in its thread, still settling
    task.cancel()
    await supervisor.end_by_person()
    assert room.process is None
    assert room.controller.starts["worker"] == 1


async def test_with_the_host_away_a_person_can_still_stop_the_process(room: Room) -> None:
    supervisor = room.supervisor()
    async with supervised(supervisor):
        process = await room.running()
        await until(lambda: room.store.load().process == process)
    room.controller.unreachable = True
    await supervisor.end_by_person()
    assert not is_alive(process)
    assert "stopped, the process host being away" in room.log


def test_the_state_survives_a_round_trip_and_an_unreadable_file_is_set_aside(tmp_path: Path) -> None:
    store = SupervisionStore("worker", tmp_path)
    state = replace(
        store.load(), process=ProcessIdentity(1, 2), starts=3, hold=Hold(HoldReason.STOPPED_AT_HOST, 5).ended("run 1")
    )
    state = replace(state, history=state.history.started(1).ended(2, BUDGET).gave_up(3))
    store.save(state)
    assert store.load() == state
    store.path.write_text('{"history": 1')
    assert store.load().starts == 0
    assert store.path.with_suffix(".unreadable").exists()
    store.forget()
    store.forget()
