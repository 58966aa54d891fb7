"""One service as the supervision loop uses it: the controller's blocking verbs, moved to threads and put in order."""

from __future__ import annotations

import asyncio
import contextlib
import threading

from include.runtime.clock import Clock
from include.services.controller import ServiceController, ServiceStatus
from include.services.errors import HostUnreachableError
from include.services.process_table import ProcessTable
from include.services.processes import ProcessIdentity

_COLLECT_SECONDS = 0.25  # longest wait for the host to know an exit code: a restart must not wait for it


class ServiceHandle:
    """Starts and stops never overlap: a task that is cancelled leaves its verb running in the thread.

    After :meth:`close` nothing is started any more.
    """

    def __init__(self, name: str, controller: ServiceController, clock: Clock, processes: ProcessTable) -> None:
        self.name, self._processes = name, processes
        self._controller, self._clock = controller, clock
        self._verbs = threading.Lock()
        self._closed = False

    def close(self) -> None:
        """From now on, no starts."""
        self._closed = True

    async def status(self) -> ServiceStatus:
        """The host's word. Raises ``HostUnreachableError``."""
        return await asyncio.to_thread(self._controller.status, self.name)

    async def process(self, last: ProcessIdentity | None) -> ProcessIdentity | None:
        """The running process; while the host is away, ``last`` if it still runs."""
        try:
            return self._processes.identify(await self.status())
        except HostUnreachableError:
            alive = last is not None and await asyncio.to_thread(self._processes.is_alive, last)
            return last if alive else None

    async def status_after_exit(self) -> ServiceStatus | None:
        """The status once the host knows how the process ended; waits a moment only; None while the host is away."""
        deadline = self._clock.monotonic() + _COLLECT_SECONDS
        with contextlib.suppress(HostUnreachableError):
            while True:
                status = await self.status()
                if status.pid or status.exit_code is not None or self._clock.monotonic() > deadline:
                    return status
                await asyncio.sleep(0.005)
        return None

    async def tail(self, lines: int) -> tuple[str, ...]:
        """The end of its log; empty when that cannot be read, which must not hinder a restart."""
        with contextlib.suppress(Exception):
            return await asyncio.to_thread(self._controller.tail, self.name, lines)
        return ()

    async def start(self, timeout: float) -> None:
        """See ``ServiceController.start``; does nothing once closed."""
        await asyncio.to_thread(self._start, timeout)

    def _start(self, timeout: float) -> None:
        with self._verbs:
            if not self._closed:
                self._controller.start(self.name, timeout)

    async def stop(self, process: ProcessIdentity, timeout: float) -> str:
        """Stop it through the host, or directly while the host is away; says which in words."""
        return await asyncio.to_thread(self._stop, process, timeout)

    def _stop(self, process: ProcessIdentity, timeout: float) -> str:
        with self._verbs:
            try:
                return self._controller.stop(self.name, timeout)
            except HostUnreachableError:
                return self._processes.end_without_host(process, timeout)

    async def settled_process(self, last: ProcessIdentity | None) -> ProcessIdentity | None:
        """As :meth:`process`, once a start that is under way has come to its end."""
        await asyncio.to_thread(self._wait_for_verbs)
        return await self.process(last)

    def _wait_for_verbs(self) -> None:
        with self._verbs:
            pass
