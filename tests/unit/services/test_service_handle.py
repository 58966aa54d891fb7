"""Verbs in threads: what happens when the task that asked for one is cancelled."""

from __future__ import annotations

import asyncio
import os
import threading

import pytest

from include.runtime.clock import SystemClock
from include.services.controller import ServiceOutcome, ServiceState, ServiceStatus
from include.services.errors import HostUnreachableError
from include.services.process_table import LocalProcesses
from include.services.processes import identify
from include.services.service_handle import ServiceHandle


class SlowHost:
    """A host whose start takes until it is told to go on; its process is this very one."""

    def __init__(self) -> None:
        self.begun, self.go_on = threading.Event(), threading.Event()
        self.pid: int | None = None
        self.starts = 0
        self.away = False

    def start(self, name: str, timeout: float) -> ServiceOutcome:
        self.begun.set()
        assert self.go_on.wait(5)
        self.pid, self.starts = os.getpid(), self.starts + 1
        return ServiceOutcome.STARTED

    def status(self, name: str) -> ServiceStatus:
        if self.away:
            raise HostUnreachableError("here", "away")
        return ServiceStatus(name, ServiceState.RUNNING if self.pid else ServiceState.STOPPED, self.pid)


@pytest.fixture
def host() -> SlowHost:
    return SlowHost()


@pytest.fixture
def handle(host: SlowHost) -> ServiceHandle:
    return ServiceHandle("worker", host, SystemClock(), LocalProcesses())  # type: ignore[arg-type]


async def test_a_start_under_way_is_awaited_before_its_process_is_looked_for(
    host: SlowHost, handle: ServiceHandle
) -> None:
    start = asyncio.create_task(handle.start(5))
    await asyncio.to_thread(host.begun.wait, 5)
    start.cancel()
    handle.close()
    found = asyncio.create_task(handle.settled_process(None))
    await asyncio.sleep(0.05)
    assert not found.done()
    host.go_on.set()
    assert await found == identify(os.getpid())


async def test_once_closed_nothing_is_started(host: SlowHost, handle: ServiceHandle) -> None:
    host.go_on.set()
    handle.close()
    await handle.start(5)
    assert host.starts == 0


async def test_while_the_host_is_away_the_process_last_seen_counts(host: SlowHost, handle: ServiceHandle) -> None:
    host.away = True
    last = identify(os.getpid())
    assert last
    assert await handle.process(last) == last
    assert await handle.process(None) is None
    assert await handle.status_after_exit() is None
    assert await handle.tail(5) == ()
