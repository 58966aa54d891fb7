"""The Docker adapter of :class:`~include.services.controller.ServiceController`: the containers of a compose project.

What a container is doing is Docker's word. What Docker does not tell is whether an end was wanted: it was if the stop
went through this adapter, here or in another process (:mod:`include.services.stop_notes`), or if the exit code is 0,
130 or 143, as after ``docker compose stop``. So a program that has to be killed by such a stop counts as one that
ended by itself, as nobody can tell it from one that was killed. A signal that ended it is a negative exit code.

A pid is the one on the engine's machine: nobody may look for it here (:mod:`include.services.process_table`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from include.services.controller import ServiceOutcome, ServiceState, ServiceStatus, stop_then_start
from include.services.docker_api import STOP_MARGIN_SECONDS, DockerApi, Record
from include.services.errors import (
    HostForbidsError,
    HostRefusesError,
    ServicesError,
    ServiceTimeoutError,
    StartFailedError,
    UnknownServiceError,
)
from include.services.stop_notes import ORDERLY_EXITS, StopNotes, await_startable

T = TypeVar("T")

_KILLED = 128 + 9
_LAST_SIGNAL = 64
_POLL_SECONDS = 0.05
_LOG_LINES = 20


class DockerController:
    """Services are the containers of one compose project, each by its service's name; of several replicas the first.

    ``names``: only these are services; none: all of the project. ``settle_seconds``: how long a start is watched before
    it counts; a container that ends within it has failed.
    """

    def __init__(
        self, api_url: str, project: str, run_dir: Path, names: Collection[str] = (), settle_seconds: float = 0.5
    ) -> None:
        self._api, self._project, self._names = DockerApi(api_url), project, frozenset(names)
        self._notes, self._settle = StopNotes(run_dir), settle_seconds
        self._known: dict[str, str] = {}  # service → container, as last listed

    def status(self, name: str) -> ServiceStatus:
        """See ``ServiceController``. A container that is paused runs, and is ``suspended``."""
        return self._status(name, self._container(name))

    def statuses(self) -> tuple[ServiceStatus, ...]:
        """See ``ServiceController``."""
        found = [(name, self._api.inspect(container)) for name, container in sorted(self._listed().items())]
        return tuple(self._status(name, container) for name, container in found if container is not None)

    def start(self, name: str, timeout: float) -> ServiceOutcome:
        """See ``ServiceController``. What the engine says of a port or a folder is the reason of a failed start."""
        deadline = time.monotonic() + timeout
        with self._notes.alone(name, deadline) as ours:
            if not await_startable(self, name, timeout, deadline, our_turn=ours):
                return ServiceOutcome.ALREADY_RUNNING
            self._start(name)
        self._await_settled(name, deadline)
        return ServiceOutcome.STARTED

    def _start(self, name: str) -> None:
        try:
            self._api.start(_called(self._container(name)))
        except HostRefusesError as error:
            raise StartFailedError(name, self.status(name).exit_code, error.reason, self._words(name)) from error

    def _await_settled(self, name: str, deadline: float) -> None:
        settled = min(time.monotonic() + self._settle, deadline)
        while True:
            status = self.status(name)
            if status.pid is None:
                raise StartFailedError(name, status.exit_code, "it ended at once", self._words(name))
            if time.monotonic() >= settled:
                return
            time.sleep(_POLL_SECONDS)

    def stop(self, name: str, timeout: float) -> ServiceOutcome:
        """See ``ServiceController``. ``timeout`` is rounded up to whole seconds."""
        container = self._container(name)
        if not container["State"]["Running"]:
            return ServiceOutcome.ALREADY_STOPPED
        run = _run(container)
        self._notes.write(name, run, timeout + STOP_MARGIN_SECONDS)
        try:
            self._api.stop(_called(container), timeout)
        except HostForbidsError:
            self._notes.forget(name)
            raise
        except HostRefusesError as error:
            self._notes.forget(name)
            raise ServiceTimeoutError(name, "stop", timeout, f"as before: {error.reason}") from error
        state = self._container(name)["State"]
        forced = state["ExitCode"] == _KILLED and not state["Running"]
        return ServiceOutcome.KILLED if forced else ServiceOutcome.STOPPED

    def restart(self, name: str, timeout: float) -> ServiceOutcome:
        """See ``ServiceController``."""
        return stop_then_start(self, name, timeout)

    def tail(self, name: str, lines: int) -> tuple[str, ...]:
        """See ``ServiceController``. The engine keeps the logs: while it is away there are none."""
        return _lines(self._logs(name, max(lines, 0)))

    def log_since(self, name: str, mark: str, most: int) -> tuple[tuple[str, ...], str]:
        """See ``KeepsLogs``. The mark is the moment of a line, to the nanosecond, as the engine has noted it."""
        if not mark:
            return (), _moments(self._logs(name, 1, moments=True))[1] or _FIRST
        lines, last = _moments(self._logs(name, most, _seconds(mark), moments=True), after=mark)
        return lines, last or mark

    def run_log(self, name: str, most: int) -> tuple[str, ...]:
        """See ``KeepsLogs``."""
        container = self._container(name)
        began = container["State"]["StartedAt"]
        return _lines(self._api.logs(_called(container), most, _seconds(began))) if _moment(began) else ()

    # --- parts -----------------------------------------------------------------------------------------------------
    def _listed(self) -> dict[str, str]:
        found = self._api.containers(self._project)
        self._known = {name: container for name, container in found.items() if not self._names or name in self._names}
        return self._known

    def _container(self, name: str) -> Record:
        """Raises ``UnknownServiceError``."""
        return self._of(name, self._api.inspect)

    def _logs(self, name: str, lines: int, since: float | None = None, *, moments: bool = False) -> str:
        """Raises ``UnknownServiceError``."""
        return self._of(name, lambda container: self._api.logs(container, lines, since, moments=moments))

    def _of(self, name: str, ask: Callable[[str], T | None]) -> T:
        """The answer about its container; the list is asked for only if the one known so far is gone."""
        for again in (False, True):
            known = (self._listed() if again else self._known).get(name)
            if known is not None and (found := ask(known)) is not None:
                return found
        raise UnknownServiceError(name, self._known.keys() - {name})

    def _words(self, name: str) -> tuple[str, ...]:
        """The end of its log; a failed start is told without it, too."""
        try:
            return self.tail(name, _LOG_LINES)
        except ServicesError:
            return ()

    def _status(self, name: str, container: Record) -> ServiceStatus:
        state = container["State"]
        started_at, word = _moment(state["StartedAt"]), _word(state)
        if state["Restarting"]:
            return ServiceStatus(name, ServiceState.BACKOFF, None, started_at, _exit_code(state), word)
        if state["Running"]:
            note = self._notes.of(name, _run(container))
            doing = ServiceState.STOPPING if note is not None and note.in_force else ServiceState.RUNNING
            return ServiceStatus(name, doing, state["Pid"], started_at, None, word, bool(state["Paused"]))
        if state["Status"] not in ("created", "exited"):  # being removed, or could not be
            return ServiceStatus(name, ServiceState.UNKNOWN, None, started_at, None, word)
        if state["Error"]:
            return ServiceStatus(name, ServiceState.FATAL, None, started_at, _exit_code(state), word)
        if started_at is None:
            return ServiceStatus(name, ServiceState.STOPPED, description="never started")
        wanted = state["ExitCode"] in ORDERLY_EXITS or self._was_ours(name, container)
        ended = ServiceState.STOPPED if wanted else ServiceState.EXITED
        return ServiceStatus(name, ended, None, started_at, _exit_code(state), word)

    def _was_ours(self, name: str, container: Record) -> bool:
        note, ended_at = self._notes.of(name, _run(container)), _moment(container["State"]["FinishedAt"])
        return note is not None and ended_at is not None and note.explains(ended_at.timestamp())


_FIRST = "1970-01-01T00:00:01.000000000Z"  # before any line; 0 would mean "no bound" to the engine


def _called(container: Record) -> str:
    """Its name, by which the proxy before the engine knows whose it is."""
    return str(container["Name"]).removeprefix("/")


def _run(container: Record) -> str:
    """One run of a container; its start is known to the nanosecond."""
    return f"{container['Id']} {container['State']['StartedAt']}"


def _moment(text: str) -> datetime | None:
    moment = datetime.fromisoformat(text).astimezone(UTC)
    return moment if moment.year > 1 else None


def _exit_code(state: dict[str, Any]) -> int:
    code = int(state["ExitCode"])
    return 128 - code if 128 < code <= 128 + _LAST_SIGNAL else code


def _word(state: dict[str, Any]) -> str:
    facts = (state["Status"], "out of memory" if state["OOMKilled"] else "", state["Error"])
    return "; ".join(str(fact) for fact in facts if fact)


def _seconds(moment: str) -> float:
    """Since the epoch, and a little earlier: such a number has no nanoseconds."""
    return datetime.fromisoformat(moment).timestamp() - 0.001


def _lines(text: str | None) -> tuple[str, ...]:
    return tuple(text.removesuffix("\n").split("\n")) if text else ()


def _moments(text: str | None, after: str = "") -> tuple[tuple[str, ...], str]:
    """Lines that begin with their moment, all of the same length: those after ``after``, and the last moment."""
    pairs = [line.partition(" ") for line in _lines(text)]
    newer = [(moment, line) for moment, _, line in pairs if moment > after]
    return tuple(line for _, line in newer), newer[-1][0] if newer else ""
