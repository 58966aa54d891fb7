"""Errors of the runtime room."""

from __future__ import annotations

from pathlib import Path


class AlreadyRunningError(Exception):
    """A second copy of a process was started."""

    def __init__(self, name: str, pid: str, lock: Path) -> None:
        super().__init__(f"{name} is already running (pid {pid or 'unknown'}); lock file {lock}")
        self.name, self.pid, self.lock = name, pid, lock
