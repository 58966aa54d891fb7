"""Supervision of a process that only its host can see: the stand-in of Docker's engine."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from include.services.controller import ServiceState, ServiceStatus
from include.services.docker import DockerController
from include.services.process_supervisor import ProcessSupervisor
from include.services.process_table import (
    HostedProcesses,
    LocalProcesses,
    processes_from_settings,
    speaks_of_itself,
)
from include.services.processes import ProcessIdentity
from include.services.supervision import RestartBudget
from include.services.supervision_report import Pace
from include.services.supervision_store import HoldReason, SupervisionStore
from include.settings import ServiceAdapter, Settings
from tests.support.docker_engine import PROJECT, Container, StandInEngine
from tests.support.supervising import Lines, Switch

QUICK = Pace(report=0.2, look=0.02, ask_switch=0.05, retry_host=0.05, start=5, stop=2)
BUDGET = RestartBudget(starts=3, window_seconds=60, cooldown_seconds=0.6)


class Room:
    """One supervised container."""

    def __init__(self, folder: Path) -> None:
        self.engine = StandInEngine({"worker": ["sleep", "600"]}, folder)
        self.controller = DockerController(self.engine.url, PROJECT, folder / "run", settle_seconds=0.1)
        self.processes = HostedProcesses(self.controller, "worker")
        self.store, self.log, self.switch = SupervisionStore("worker", folder), Lines(), Switch()

    @property
    def container(self) -> Container:
        return self.engine.of("worker")

    @asynccontextmanager
    async def supervised(self) -> AsyncIterator[ProcessSupervisor]:
        supervisor = ProcessSupervisor(
            "worker", self.controller, self.store, self.switch, BUDGET, self.log, pace=QUICK, processes=self.processes
        )
        task = asyncio.create_task(supervisor.run())
        yield supervisor
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    async def running(self, other_than: ProcessIdentity | None = None) -> ProcessIdentity:
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            found = self.store.load().process
            if found not in (None, other_than):
                assert found
                return found
            await asyncio.sleep(0.01)
        raise AssertionError("\n".join(self.log.lines))

    def kill(self) -> None:
        assert self.container.process
        self.container.process.kill()


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    room = Room(tmp_path)
    yield room
    room.engine.close()


async def test_a_killed_container_is_seen_and_started_again_within_about_a_second(room: Room) -> None:
    async with room.supervised():
        first = await room.running()
        begin = time.monotonic()
        room.kill()
        second = await room.running(other_than=first)
        assert time.monotonic() - begin < 2
    assert second != first
    assert any("exit code -9" in line for line in room.log.lines)


async def test_a_container_is_neither_doubted_nor_restarted_while_the_engine_is_away(room: Room) -> None:
    async with room.supervised():
        first = await room.running()
        room.engine.go_away()
        await asyncio.sleep(1.2)
        assert room.store.load().process == first
        room.engine.come_back()
        await asyncio.sleep(0.7)
        assert room.store.load().process == first
        room.engine.go_away()
        room.kill()
        await asyncio.sleep(0.7)
        room.engine.come_back()
        assert await room.running(other_than=first) != first


async def test_a_stop_through_the_host_is_a_wish_that_is_kept(room: Room) -> None:
    async with room.supervised():
        await room.running()
        await asyncio.to_thread(room.controller.stop, "worker", 5)
        deadline = time.monotonic() + 5
        while (hold := room.store.load().hold) is None and time.monotonic() < deadline:
            await asyncio.sleep(0.02)
        assert hold is not None
        assert hold.reason is HoldReason.STOPPED_AT_HOST
        await asyncio.sleep(0.3)
        assert not room.container.running


async def test_what_a_person_ended_while_the_engine_was_away_is_stopped_when_it_is_back(room: Room) -> None:
    async with room.supervised():
        first = await room.running()
    supervisor = ProcessSupervisor(
        "worker", room.controller, room.store, room.switch, BUDGET, room.log, run_id="run 2", processes=room.processes
    )
    room.engine.go_away()
    await supervisor.end_by_person()
    assert any("not stopped, the process host being away" in line for line in room.log.lines)
    room.engine.come_back()
    assert room.container.running
    async with room.supervised():
        deadline = time.monotonic() + 5
        while room.container.running and time.monotonic() < deadline:
            await asyncio.sleep(0.02)
    assert not room.container.running
    assert room.store.load().hold
    assert first


def test_the_same_pid_with_another_start_is_another_process(room: Room) -> None:
    began = datetime(2026, 1, 1, tzinfo=UTC)
    one, other = (
        room.processes.identify(ServiceStatus("worker", ServiceState.RUNNING, 7, moment))
        for moment in (began, began + timedelta(microseconds=1))
    )
    assert one
    assert one != other
    assert room.processes.identify(ServiceStatus("worker", ServiceState.EXITED, None, began, 1)) is None
    assert not room.processes.kill_remains(one)


@pytest.mark.parametrize(
    ("adapter", "kind"),
    [
        (ServiceAdapter.SUPERVISORD, LocalProcesses),
        (ServiceAdapter.SYSTEMD, LocalProcesses),
        (ServiceAdapter.DOCKER, HostedProcesses),
    ],
)
def test_whose_word_counts_depends_on_the_process_host(room: Room, adapter: ServiceAdapter, kind: type) -> None:
    settings = Settings(_env_file=None, service_adapter=adapter)
    assert type(processes_from_settings(settings, room.controller, "worker")) is kind


@pytest.mark.parametrize(
    ("adapter", "pid", "age", "its_own"),
    [
        (ServiceAdapter.SUPERVISORD, 40, 500.0, True),
        (ServiceAdapter.SUPERVISORD, 7, 5.0, False),
        (ServiceAdapter.DOCKER, 7, 9.0, True),
        (ServiceAdapter.DOCKER, 40, 15.0, False),  # older than its container: of the one before
    ],
)
def test_a_document_is_of_the_process_that_the_host_tells_of(
    adapter: ServiceAdapter, pid: int, age: float, its_own: bool
) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    status = ServiceStatus("worker", ServiceState.RUNNING, 40, now - timedelta(seconds=10))
    settings = Settings(_env_file=None, service_adapter=adapter)
    assert speaks_of_itself(settings, status, pid, age, now) is its_own
    assert not speaks_of_itself(settings, ServiceStatus("worker", ServiceState.EXITED), pid, age, now)
