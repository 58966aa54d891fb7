"""The supervisord adapter of :class:`~include.services.controller.ServiceController`.

supervisord is asked and told over XML-RPC; waiting for ends is done by pidfd, which is quicker than its polling, and
lets a stop go on to SIGKILL of the process group. Programs want ``startsecs=0`` (otherwise supervisord forgets the
exit code of a quick end: it is then reported as unknown), ``autorestart=false`` and ``startretries=0`` where somebody
else decides on restarts.

A process that outlived an earlier supervisord, and still holds its single-instance lock, counts as running: the new
supervisord does not know it, and would start a second copy.
"""

from __future__ import annotations

import time
import xmlrpc.client
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from supervisor.states import ProcessStates
from supervisor.xmlrpc import Faults

from include.services.controller import ServiceOutcome, ServiceState, ServiceStatus, stop_then_start
from include.services.errors import HostUnreachableError, ServiceTimeoutError, StartFailedError, UnknownServiceError
from include.services.log_tail import tail_file
from include.services.processes import (
    await_group_end,
    force_exit,
    identify,
    kill_group,
    lock_holder,
    terminate,
    wait_exit,
)
from include.services.supervisord_rpc import SupervisordRpc

_STATES = {
    ProcessStates.STOPPED: ServiceState.STOPPED,
    ProcessStates.STARTING: ServiceState.STARTING,
    ProcessStates.RUNNING: ServiceState.RUNNING,
    ProcessStates.BACKOFF: ServiceState.BACKOFF,
    ProcessStates.STOPPING: ServiceState.STOPPING,
    ProcessStates.EXITED: ServiceState.EXITED,
    ProcessStates.FATAL: ServiceState.FATAL,
}
_ENDED = (ServiceState.STOPPED, ServiceState.EXITED, ServiceState.FATAL)
_WITH_PROCESS = (ServiceState.RUNNING, ServiceState.STARTING, ServiceState.STOPPING)
_POLL_SECONDS = 0.005  # supervisord answers in a millisecond and collects a dead child within ten
_LEFTOVER_SECONDS = 1.0  # at least so long may children of a service (a JVM, say) outlive it
_LOG_LINES = 20


class SupervisordController:
    """Services are the programs of one supervisord.

    ``settle_seconds``: how long a start is watched before it counts; a process that ends within it has failed.
    """

    def __init__(self, socket_path: Path, log_dir: Path, run_dir: Path, settle_seconds: float = 0.5) -> None:
        self._rpc = SupervisordRpc(socket_path)
        self._log_dir, self._run_dir, self._settle = log_dir, run_dir, settle_seconds
        self._full_names: dict[str, str] = {}  # name → supervisord's group:name

    def status(self, name: str) -> ServiceStatus:
        """See ``ServiceController``."""
        return self._status(self._info(name))

    def statuses(self) -> tuple[ServiceStatus, ...]:
        """See ``ServiceController``."""
        return tuple(sorted((self._status(i) for i in self._rpc.call("getAllProcessInfo")), key=lambda s: s.name))

    def start(self, name: str, timeout: float) -> ServiceOutcome:
        """See ``ServiceController``."""
        full_name, deadline = self._full_name(name), time.monotonic() + timeout
        while True:
            status = self.status(name)
            if status.pid and status.state is not ServiceState.STOPPING:
                return ServiceOutcome.ALREADY_RUNNING
            if not status.pid and self._spawned(name, full_name):
                break
            if time.monotonic() > deadline:  # it is still stopping, or its dead process is not collected
                raise ServiceTimeoutError(name, "start", timeout, status.state)
            time.sleep(_POLL_SECONDS)
        self._await_settled(name, timeout, deadline)
        return ServiceOutcome.STARTED

    def _spawned(self, name: str, full_name: str) -> bool:
        """Ask for a start; False when supervisord still counts the old process (not collected yet): ask again."""
        try:
            self._rpc.call("startProcess", full_name, False)
        except xmlrpc.client.Fault as fault:
            if fault.faultCode == Faults.ALREADY_STARTED:
                return False
            raise StartFailedError(name, None, fault.faultString, self.tail(name, _LOG_LINES)) from fault
        return True

    def _await_settled(self, name: str, timeout: float, deadline: float) -> None:
        settled, group = min(time.monotonic() + self._settle, deadline), None
        while True:
            status = self.status(name)
            process = identify(status.pid)
            group = process.pid if process else group
            if process is None and not self._is_being_collected(name):
                if group:
                    kill_group(group)  # what it started must not outlive it
                raise self._start_failure(name)
            left = settled - time.monotonic()
            if status.state is ServiceState.RUNNING and left <= 0:
                return
            if time.monotonic() > deadline:
                raise ServiceTimeoutError(name, "start", timeout, status.state)
            if process is None:
                time.sleep(_POLL_SECONDS)
            else:
                wait_exit(process, min(max(left, _POLL_SECONDS), max(deadline - time.monotonic(), 0)))

    def _start_failure(self, name: str) -> StartFailedError:
        status = self.status(name)
        reason = (
            status.description if status.state in (ServiceState.BACKOFF, ServiceState.FATAL) else "it ended at once"
        )
        return StartFailedError(name, status.exit_code, reason, self.tail(name, _LOG_LINES))

    def stop(self, name: str, timeout: float) -> ServiceOutcome:
        """See ``ServiceController``."""
        full_name, status, deadline = self._full_name(name), self.status(name), time.monotonic() + timeout
        if status.state is ServiceState.BACKOFF:  # no process now, but the host would try again
            self._stop_process(full_name)
            return ServiceOutcome.STOPPED
        process = identify(status.pid)
        if process is None:
            return ServiceOutcome.ALREADY_STOPPED
        if self._info(name)["pid"] != process.pid:  # outlived an earlier supervisord
            forced = terminate(process, timeout)
        else:
            if status.state is not ServiceState.STOPPING:
                self._stop_process(full_name)
            forced = force_exit(process, min(timeout, self._patience(name)))
        forced |= await_group_end(process.pid, max(deadline - time.monotonic(), _LEFTOVER_SECONDS))
        self._await_stopped(name, timeout)
        return ServiceOutcome.KILLED if forced else ServiceOutcome.STOPPED

    def _stop_process(self, full_name: str) -> None:
        try:
            self._rpc.call("stopProcess", full_name, False)
        except xmlrpc.client.Fault as fault:
            if fault.faultCode != Faults.NOT_RUNNING:  # it ended on its own meanwhile
                raise

    def _patience(self, name: str) -> float:
        """Seconds until supervisord itself would send SIGKILL, less a margin: we do it, so that we can report it."""
        config = next(c for c in self._rpc.call("getAllConfigInfo") if c["name"] == name)
        return max(float(config["stopwaitsecs"]) - 0.5, 0.1)

    def _await_stopped(self, name: str, timeout: float) -> None:
        deadline = time.monotonic() + 5.0
        while (status := self.status(name)).pid or self._is_being_collected(name):
            if time.monotonic() > deadline:
                raise ServiceTimeoutError(name, "stop", timeout, status.state)
            time.sleep(_POLL_SECONDS)

    def restart(self, name: str, timeout: float) -> ServiceOutcome:
        """See ``ServiceController``."""
        return stop_then_start(self, name, timeout)

    def tail(self, name: str, lines: int) -> tuple[str, ...]:
        """See ``ServiceController``."""
        path = self._log_dir / f"{name}.log"
        try:
            self._full_name(name)
        except HostUnreachableError as error:
            known = {p.stem for p in self._log_dir.glob("*.log")}  # matched as a whole: no way out of the folder
            if name not in known:
                raise UnknownServiceError(name, known) from error
        return tail_file(path, lines)

    def _info(self, name: str) -> dict[str, Any]:
        try:
            info: dict[str, Any] = self._rpc.call("getProcessInfo", self._full_name(name))
        except xmlrpc.client.Fault as fault:
            if fault.faultCode != Faults.BAD_NAME:
                raise
            known = self._full_names  # supervisord was started anew, without this program
            self._full_names = {}
            raise UnknownServiceError(name, known.keys() - {name}) from fault
        return info

    def _full_name(self, name: str) -> str:
        """supervisord's ``group:name``. Raises ``UnknownServiceError``."""
        if name not in self._full_names:
            self._full_names = {i["name"]: f"{i['group']}:{i['name']}" for i in self._rpc.call("getAllProcessInfo")}
        if name not in self._full_names:
            raise UnknownServiceError(name, self._full_names)
        return self._full_names[name]

    def _is_being_collected(self, name: str) -> bool:
        """supervisord still counts a process that has ended."""
        info = self._info(name)
        return _STATES.get(info["state"]) in _WITH_PROCESS and identify(info["pid"]) is None

    def _status(self, info: dict[str, Any]) -> ServiceStatus:
        name, state = info["name"], _STATES.get(info["state"], ServiceState.UNKNOWN)
        started_at = datetime.fromtimestamp(info["start"], UTC) if info["start"] else None
        if state in _WITH_PROCESS:
            if identify(info["pid"]):
                return ServiceStatus(name, state, info["pid"], started_at, None, info["description"])
            ended = ServiceState.STOPPED if state is ServiceState.STOPPING else ServiceState.EXITED
            return ServiceStatus(name, ended, None, started_at, None, "ended; not yet collected by supervisord")
        if pid := lock_holder(name, self._run_dir):
            text = f"pid {pid}, outlived an earlier supervisord"
            return ServiceStatus(name, ServiceState.RUNNING, pid, started_at, None, text)
        exit_code = info["exitstatus"] if started_at and state in _ENDED and not _quick(info) else None
        return ServiceStatus(name, state, None, started_at, exit_code, info["description"])


def _quick(info: dict[str, Any]) -> bool:
    """It ended before ``startsecs``: supervisord then forgets the exit code and reports 0."""
    return bool(info["state"] == ProcessStates.FATAL)
