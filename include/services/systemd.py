"""The systemd adapter of :class:`~include.services.controller.ServiceController`: units of this machine.

The units want ``Restart=no`` and ``StartLimitIntervalSec=0`` where the playbook decides on restarts, and must be
enabled: of a unit that ended and that no other refers to, systemd forgets that it ever ran. As in Docker, an end in
order (0, SIGINT, SIGTERM) counts as one on request, and so does a stop that had to use force; a stop of our own is
noted besides (:mod:`include.services.stop_notes`). Logs are the journal's.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from include.services.controller import ServiceOutcome, ServiceState, ServiceStatus, stop_then_start
from include.services.errors import (
    HostForbidsError,
    HostNotReadyError,
    HostRefusesError,
    HostUnreachableError,
    ServiceTimeoutError,
    StartFailedError,
    UnknownServiceError,
)
from include.services.stop_notes import ORDERLY_EXITS, StopNotes, await_startable
from include.services.systemd_commands import CALL_SECONDS, Properties, SystemdCommands

_STATES = {
    "active": ServiceState.RUNNING,
    "reloading": ServiceState.RUNNING,
    "activating": ServiceState.STARTING,
    "deactivating": ServiceState.STOPPING,
}
_ENDED = ("inactive", "failed")
_SIGKILL = -9
_EXITED = "1"  # CLD_EXITED; 2 and 3: ended by a signal
_GAVE_UP = ("start-limit-hit", "resources", "protocol", "exec-condition")
_POLL_SECONDS = 0.05
_KILL_SECONDS = 5.0
_WORDS_SECONDS = 0.5  # what a process said last reaches the journal a little after its end
_LOG_LINES = 20
_FROM_START = "start"  # mark of a log that had no line yet
_VERBS = (("start",), ("stop", "--no-block"), ("kill", "--signal=SIGKILL"))


class SystemdController:
    """``units``: by name of the service. ``settle_seconds``: how long a start is watched before it counts."""

    def __init__(
        self,
        units: Mapping[str, str],
        run_dir: Path,
        settle_seconds: float = 0.5,
        commands: SystemdCommands | None = None,
    ) -> None:
        self._units, self._settle = dict(sorted(units.items())), settle_seconds
        self._commands, self._notes = commands or SystemdCommands(), StopNotes(run_dir)

    def check(self, services: tuple[str, ...]) -> None:
        """systemd answers, has the units of the ``services``, and lets us do all that is ever done to them."""
        lacking = set(services) - {status.name for status in self.statuses()}
        if lacking:
            named = ", ".join(sorted(f"{self._units.get(name, f'{name}.service')} ({name})" for name in lacking))
            raise HostNotReadyError(f"systemd has no unit {named}; install it, or name it in PIPELINE_SYSTEMD_UNITS")
        for name in services:
            for verb in _VERBS:
                self._commands.may(self._units[name], *verb)
            self.tail(name, 1)

    def status(self, name: str) -> ServiceStatus:
        """See ``ServiceController``."""
        return self._status(name, self._unit(name))

    def statuses(self) -> tuple[ServiceStatus, ...]:
        """See ``ServiceController``: of the units that systemd has."""
        shown = zip(self._units, self._commands.show(self._units.values()), strict=True)
        return tuple(self._status(name, unit) for name, unit in shown if unit["LoadState"] == "loaded")

    def start(self, name: str, timeout: float) -> ServiceOutcome:
        """See ``ServiceController``."""
        deadline = time.monotonic() + timeout
        with self._notes.alone(name, deadline) as ours:
            if not await_startable(self, name, timeout, deadline, our_turn=ours):
                return ServiceOutcome.ALREADY_RUNNING
            self._start(name, timeout)
        self._await_settled(name, timeout, deadline)
        return ServiceOutcome.STARTED

    def _start(self, name: str, timeout: float) -> None:
        try:
            self._commands.change(self._units[name], "start", seconds=timeout + CALL_SECONDS)
        except HostUnreachableError as error:
            state = self.status(name).state  # if it tells, it is the unit that takes so long
            raise ServiceTimeoutError(name, "start", timeout, state) from error
        except HostRefusesError as error:
            raise StartFailedError(name, self.status(name).exit_code, error.reason, self._words(name)) from error

    def _await_settled(self, name: str, timeout: float, deadline: float) -> None:
        settled = min(time.monotonic() + self._settle, deadline)
        while True:
            unit = self._unit(name)
            status = self._status(name, unit)
            if unit["ActiveState"] in _ENDED or status.state is ServiceState.BACKOFF:
                raise StartFailedError(name, status.exit_code, "it ended at once", self._words(name))
            if time.monotonic() >= settled and status.state is ServiceState.RUNNING:
                return
            if time.monotonic() > deadline:
                raise ServiceTimeoutError(name, "start", timeout, status.state)
            time.sleep(_POLL_SECONDS)

    def stop(self, name: str, timeout: float) -> ServiceOutcome:
        """See ``ServiceController``: SIGTERM and SIGKILL go to all processes of the unit."""
        unit = self._unit(name)
        if unit["ActiveState"] in _ENDED:
            return ServiceOutcome.ALREADY_STOPPED
        self._notes.write(name, _run(unit), timeout + _KILL_SECONDS + CALL_SECONDS)
        try:
            self._commands.change(self._units[name], "stop", "--no-block")
        except (HostForbidsError, HostRefusesError):
            self._notes.forget(name)
            raise
        forced = not self._ends_within(name, timeout)
        if forced:
            self._commands.change(self._units[name], "kill", "--signal=SIGKILL")
            if not self._ends_within(name, _KILL_SECONDS):
                raise ServiceTimeoutError(name, "stop", timeout, self.status(name).state)
        unit = self._unit(name)  # the unit's own patience may have been shorter than ours
        forced = forced or unit["Result"] == "timeout" or _exit_code(unit) == _SIGKILL
        return ServiceOutcome.KILLED if forced else ServiceOutcome.STOPPED

    def _ends_within(self, name: str, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while self._unit(name)["ActiveState"] not in _ENDED:
            if time.monotonic() > deadline:
                return False
            time.sleep(_POLL_SECONDS)
        return True

    def restart(self, name: str, timeout: float) -> ServiceOutcome:
        """See ``ServiceController``."""
        return stop_then_start(self, name, timeout)

    def tail(self, name: str, lines: int) -> tuple[str, ...]:
        """See ``ServiceController``: what its processes said, not what systemd says of them."""
        return self._commands.journal(_said_by(self._known(name)), f"--lines={max(lines, 0)}")

    def log_since(self, name: str, mark: str, most: int) -> tuple[tuple[str, ...], str]:
        """See ``KeepsLogs``. The mark is the journal's cursor."""
        match = _said_by(self._known(name))
        if not mark:
            return (), self._commands.journal_end(match) or _FROM_START
        lines, last = self._commands.journal_since(match, "" if mark == _FROM_START else mark)
        return lines[-most:], last or mark

    def run_log(self, name: str, most: int) -> tuple[str, ...]:
        """See ``KeepsLogs``. By its start, as what a short-lived process says is not always marked with its run."""
        began = _moment(self._unit(name)["ExecMainStartTimestamp"])
        since = "" if began is None else f"--since={began:%Y-%m-%d %H:%M:%S.%f} UTC"
        return self._commands.journal(_said_by(self._known(name)), since, f"--lines={most}") if since else ()

    # --- parts -----------------------------------------------------------------------------------------------------
    def _known(self, name: str) -> str:
        """Its unit, whether systemd has it or not."""
        if name not in self._units:
            raise UnknownServiceError(name, self._units)
        return self._units[name]

    def _unit(self, name: str) -> Properties:
        """Raises ``UnknownServiceError``."""
        unit = self._commands.show([self._known(name)])[0]
        if unit["LoadState"] != "loaded":
            raise UnknownServiceError(name, self._units.keys() - {name})
        return unit

    def _words(self, name: str) -> tuple[str, ...]:
        """What the failed run said; the journal gets it a moment later."""
        deadline = time.monotonic() + _WORDS_SECONDS
        while not (words := self.run_log(name, _LOG_LINES)) and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
        return words

    def _status(self, name: str, unit: Properties) -> ServiceStatus:
        started_at, word = _moment(unit["ExecMainStartTimestamp"]), _word(unit)
        if unit["SubState"].startswith("auto-restart"):
            return ServiceStatus(name, ServiceState.BACKOFF, None, started_at, _exit_code(unit), word)
        if (state := _STATES.get(unit["ActiveState"])) is not None:
            return self._living(name, unit, state)
        if unit["ActiveState"] not in _ENDED:
            return ServiceStatus(name, ServiceState.UNKNOWN, None, started_at, None, word)
        if unit["Result"] in _GAVE_UP:
            return ServiceStatus(name, ServiceState.FATAL, None, started_at, _exit_code(unit), word)
        if started_at is None:
            return ServiceStatus(name, ServiceState.STOPPED, description="not started since systemd remembers")
        ended = ServiceState.STOPPED if self._was_wanted(name, unit) else ServiceState.EXITED
        return ServiceStatus(name, ended, None, started_at, _exit_code(unit), word)

    def _living(self, name: str, unit: Properties, state: ServiceState) -> ServiceStatus:
        pid, started_at, word = int(unit["MainPID"]) or None, _moment(unit["ExecMainStartTimestamp"]), _word(unit)
        if pid is None and state is ServiceState.RUNNING:  # it has done its work, and "remains after exit"
            state = ServiceState.EXITED
        return ServiceStatus(name, state, pid, started_at, None if pid else _exit_code(unit), word)

    def _was_wanted(self, name: str, unit: Properties) -> bool:
        in_order = unit["ActiveState"] == "inactive" or unit["Result"] == "timeout" or _exit_code(unit) in ORDERLY_EXITS
        return in_order or self._notes.of(name, _run(unit)) is not None


def _said_by(unit: str) -> str:
    return f"_SYSTEMD_UNIT={unit}"


def _run(unit: Properties) -> str:
    """One run of a unit: its start is known to the microsecond, also after its end."""
    return f"{unit['Id']} {unit['ExecMainStartTimestamp']}"


def _moment(text: str) -> datetime | None:
    """From ``Mon 2026-11-30 19:16:05.910012 UTC``; empty or ``n/a``: never."""
    parts = text.split()
    return datetime.fromisoformat(f"{parts[1]}T{parts[2]}").replace(tzinfo=UTC) if len(parts) == 4 else None


def _exit_code(unit: Properties) -> int | None:
    if unit["ExecMainCode"] == "0":  # it has not ended
        return None
    status = int(unit["ExecMainStatus"])
    return status if unit["ExecMainCode"] == _EXITED else -status


def _word(unit: Properties) -> str:
    result = unit["Result"]
    return f"{unit['ActiveState']} ({unit['SubState']})" + (f"; {result}" if result != "success" else "")
