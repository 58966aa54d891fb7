"""A process host for tests: real programs as children of this very process, nothing to install or configure."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from include.services.controller import ServiceOutcome, ServiceState, ServiceStatus, stop_then_start
from include.services.errors import HostUnreachableError, StartFailedError, UnknownServiceError
from include.services.log_tail import tail_file
from include.services.processes import await_group_end, force_exit, identify, kill_group, wait_exit

_LEFTOVER_SECONDS = 0.2
_COLLECT_SECONDS = 5.0


@dataclass
class _Slot:
    argv: Sequence[str]
    process: subprocess.Popen[bytes] | None = None
    started_at: datetime | None = None
    asked_to_stop: bool = False
    lock: threading.RLock = field(default_factory=threading.RLock)

    def exit_code(self) -> int | None:
        """None while it runs; under the lock, as ``poll`` of a second thread answers None whatever is the case."""
        with self.lock:
            return self.process.poll() if self.process else None


class FakeServiceController:
    """Same promises as the real adapters; ``unreachable`` makes the host go away, ``starts`` counts its starts."""

    def __init__(self, programs: Mapping[str, Sequence[str]], log_dir: Path, settle_seconds: float = 0.2) -> None:
        self._slots = {name: _Slot(argv) for name, argv in programs.items()}
        self._log_dir, self._settle = log_dir, settle_seconds
        self.unreachable = False
        self.starts: dict[str, int] = dict.fromkeys(programs, 0)

    def status(self, name: str) -> ServiceStatus:
        """See ``ServiceController``."""
        self._reach()
        slot = self._slot(name)
        if slot.process is None:
            return ServiceStatus(name, ServiceState.STOPPED, description="never started")
        exit_code = slot.exit_code()
        if exit_code is None:
            state = ServiceState.STOPPING if slot.asked_to_stop else ServiceState.RUNNING
            return ServiceStatus(name, state, slot.process.pid, slot.started_at)
        state = ServiceState.STOPPED if slot.asked_to_stop else ServiceState.EXITED
        return ServiceStatus(name, state, None, slot.started_at, exit_code)

    def statuses(self) -> tuple[ServiceStatus, ...]:
        """See ``ServiceController``."""
        self._reach()
        return tuple(self.status(name) for name in sorted(self._slots))

    def start(self, name: str, timeout: float) -> ServiceOutcome:
        """See ``ServiceController``."""
        self._reach()
        slot = self._slot(name)
        with slot.lock:
            if self.status(name).pid:
                return ServiceOutcome.ALREADY_RUNNING
            self._log_dir.mkdir(parents=True, exist_ok=True)
            with (self._log_dir / f"{name}.log").open("ab") as log:
                process = slot.process = subprocess.Popen(
                    slot.argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
                )
            slot.started_at, slot.asked_to_stop = datetime.now(UTC), False
            self.starts[name] += 1
            identity = identify(process.pid)
        if identity and not wait_exit(identity, min(self._settle, timeout)):
            return ServiceOutcome.STARTED
        kill_group(process.pid)  # what it started must not outlive it
        raise StartFailedError(name, slot.exit_code(), "it ended at once", self.tail(name, 20))

    def stop(self, name: str, timeout: float) -> ServiceOutcome:
        """See ``ServiceController``."""
        self._reach()
        slot = self._slot(name)
        with slot.lock:
            process = identify(self.status(name).pid)
            if slot.process is None or process is None:
                return ServiceOutcome.ALREADY_STOPPED
            slot.asked_to_stop = True
            slot.process.terminate()
            forced = force_exit(process, timeout) | await_group_end(process.pid, _LEFTOVER_SECONDS)
            # its threads may end later than its first one, and until then it would count as running
            slot.process.wait(_COLLECT_SECONDS)
        return ServiceOutcome.KILLED if forced else ServiceOutcome.STOPPED

    def restart(self, name: str, timeout: float) -> ServiceOutcome:
        """See ``ServiceController``."""
        return stop_then_start(self, name, timeout)

    def tail(self, name: str, lines: int) -> tuple[str, ...]:
        """See ``ServiceController``."""
        self._slot(name)
        return tail_file(self._log_dir / f"{name}.log", lines)

    def close(self) -> None:
        """Kill whatever still runs."""
        self.unreachable = False
        for name in self._slots:
            self.stop(name, 0.0)

    def _reach(self) -> None:
        if self.unreachable:
            raise HostUnreachableError("(fake host)", "switched off")

    def _slot(self, name: str) -> _Slot:
        if name not in self._slots:
            raise UnknownServiceError(name, self._slots)
        return self._slots[name]
