"""Whose word counts on whether a process still runs: this machine's own, or that of the process host.

supervisord and systemd run processes on this machine, so the kernel tells of their end within a millisecond. A
container's pid belongs to another machine, or at least to another pid namespace: looking for it here would find
nothing, or a stranger. There the host is asked, twice a second.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from include.services.controller import ServiceController, ServiceStatus
from include.services.errors import HostUnreachableError
from include.services.processes import ProcessIdentity, identify, is_alive, kill_remains, terminate, until_exit
from include.settings import ServiceAdapter, Settings

_POLL_SECONDS = 0.5
_CLOCK_SECONDS = 2.0  # a program begins after its container; moments are taken at two places


class ProcessTable(Protocol):
    """What supervision needs to know of the processes of one service."""

    def identify(self, status: ServiceStatus) -> ProcessIdentity | None:
        """The live process that the host tells of."""
        ...

    def is_alive(self, process: ProcessIdentity) -> bool:
        """Whether it still runs, as far as anybody can tell while the host is away. Blocks."""
        ...

    async def until_exit(self, process: ProcessIdentity) -> None:
        """Return as soon as it is known to have ended."""
        ...

    def kill_remains(self, process: ProcessIdentity) -> bool:
        """End what it left behind; False when there was nothing. Blocks."""
        ...

    def end_without_host(self, process: ProcessIdentity, timeout: float) -> str:
        """End it while the host is away, as far as that can be done; says in words what came of it. Blocks."""
        ...


class LocalProcesses:
    """Processes of this machine (``/proc``, pidfd)."""

    def identify(self, status: ServiceStatus) -> ProcessIdentity | None:
        """See :class:`ProcessTable`."""
        return identify(status.pid)

    def is_alive(self, process: ProcessIdentity) -> bool:
        """See :class:`ProcessTable`."""
        return is_alive(process)

    async def until_exit(self, process: ProcessIdentity) -> None:
        """See :class:`ProcessTable`; about a millisecond later."""
        await until_exit(process)

    def kill_remains(self, process: ProcessIdentity) -> bool:
        """See :class:`ProcessTable`."""
        return kill_remains(process)

    def end_without_host(self, process: ProcessIdentity, timeout: float) -> str:
        """See :class:`ProcessTable`."""
        forced = terminate(process, timeout)
        return "killed, the process host being away" if forced else "stopped, the process host being away"


@dataclass(frozen=True)
class HostedProcesses:
    """Processes that only their host can see: identity is the host's pid and the moment of the start.

    A host that is away says nothing about its processes: they are taken to run on.
    """

    controller: ServiceController
    name: str
    poll_seconds: float = _POLL_SECONDS

    def identify(self, status: ServiceStatus) -> ProcessIdentity | None:
        """See :class:`ProcessTable`."""
        if status.pid is None or status.started_at is None:
            return None
        return ProcessIdentity(status.pid, round(status.started_at.timestamp() * 1_000_000))

    def is_alive(self, process: ProcessIdentity) -> bool:
        """See :class:`ProcessTable`."""
        try:
            return self.identify(self.controller.status(self.name)) == process
        except HostUnreachableError:
            return True

    async def until_exit(self, process: ProcessIdentity) -> None:
        """See :class:`ProcessTable`; half a second later at most, and as long as the host takes to answer."""
        while await asyncio.to_thread(self.is_alive, process):
            await asyncio.sleep(self.poll_seconds)

    def kill_remains(self, process: ProcessIdentity) -> bool:
        """See :class:`ProcessTable`: a container ends as a whole."""
        return False

    def end_without_host(self, process: ProcessIdentity, timeout: float) -> str:
        """See :class:`ProcessTable`: nobody else can."""
        return "not stopped, the process host being away; it is held, so it is stopped when that is back"


def processes_are_here(settings: Settings) -> bool:
    """Whether the pids, ports and folders of the services are those of this machine."""
    return settings.service_adapter is not ServiceAdapter.DOCKER


def processes_from_settings(settings: Settings, controller: ServiceController, name: str) -> ProcessTable:
    """For one service, by where its process runs."""
    return LocalProcesses() if processes_are_here(settings) else HostedProcesses(controller, name)


def speaks_of_itself(settings: Settings, status: ServiceStatus, pid: int, age_seconds: float, now: datetime) -> bool:
    """Whether a document that names ``pid`` and its age at ``now`` comes from the process that the host tells of.

    Inside a container a program knows another pid than the host does; so it must not be older than its container.
    """
    if status.pid is None:
        return False
    if processes_are_here(settings):
        return pid == status.pid
    return status.started_at is not None and age_seconds <= (now - status.started_at).total_seconds() + _CLOCK_SECONDS
