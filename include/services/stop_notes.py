"""What a process host does not remember itself: that we asked for a stop, and that a start is under way.

Docker tells how a container ended, not whether somebody wanted it. So whoever stops a service through its controller
notes it first, for that one run of the service: a later run is not touched by it, and neither is an end long after.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import quote

from include.runtime.files import write_whole
from include.services.controller import ServiceController, ServiceState
from include.services.errors import ServiceTimeoutError

ORDERLY_EXITS = (0, 128 + 2, 128 + 15)  # it heeded SIGINT or SIGTERM, or ended in order

_POLL_SECONDS = 0.02
_LOOK_SECONDS = 0.05
_SLACK_SECONDS = 5.0  # the host's clock may be another one


@dataclass(frozen=True, slots=True)
class StopNote:
    """``run``: which run of the service was to end. ``until`` (wall clock): by then it has, or the stop has failed."""

    run: str
    until: float

    @property
    def in_force(self) -> bool:
        """The stop may still be under way."""
        return time.time() <= self.until

    def explains(self, ended_at: float) -> bool:
        """Whether an end at that moment was this stop's work."""
        return ended_at <= self.until + _SLACK_SECONDS


class StopNotes:
    """One small file for each service under ``<run_dir>/stops``, shared by all processes that control services."""

    def __init__(self, run_dir: Path) -> None:
        self._folder = run_dir / "stops"

    def write(self, name: str, run: str, seconds: float) -> None:
        """Note that this run is to end within so long; before it is asked for."""
        self._folder.mkdir(parents=True, exist_ok=True)
        write_whole(self._path(name, "json"), json.dumps(asdict(StopNote(run, time.time() + seconds))))

    def forget(self, name: str) -> None:
        """Nothing was stopped after all."""
        with suppress(FileNotFoundError):
            self._path(name, "json").unlink()

    def of(self, name: str, run: str) -> StopNote | None:
        """The note about this run; a file that cannot be read is none."""
        try:
            note = StopNote(**json.loads(self._path(name, "json").read_text()))
        except (FileNotFoundError, ValueError, TypeError):
            return None
        return note if note.run == run else None

    @contextmanager
    def alone(self, name: str, deadline: float) -> Iterator[bool]:
        """One at a time, over all threads and processes; False if it was not our turn by ``deadline`` (monotonic)."""
        self._folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._path(name, "lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            yield _locked(descriptor, deadline)
        finally:
            os.close(descriptor)  # frees the lock

    def _path(self, name: str, kind: str) -> Path:
        return self._folder / f"{quote(name, safe='')}.{kind}"


def await_startable(
    controller: ServiceController, name: str, timeout: float, deadline: float, *, our_turn: bool
) -> bool:
    """Wait until the service may be started: it has no process, and none that is stopping. False: it runs already.

    ``our_turn``: as :meth:`StopNotes.alone` says; without it only a start by somebody else is waited for. ``deadline``:
    monotonic. Raises ``ServiceTimeoutError``.
    """
    while True:
        status = controller.status(name)
        stopping = status.state is ServiceState.STOPPING
        if status.pid and not stopping:
            return False
        if our_turn and not status.pid and not stopping:
            return True
        if time.monotonic() > deadline:
            raise ServiceTimeoutError(name, "start", timeout, status.state)
        time.sleep(_LOOK_SECONDS)


def _locked(descriptor: int, deadline: float) -> bool:
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                return False
            time.sleep(_POLL_SECONDS)
        else:
            return True
