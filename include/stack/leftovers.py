"""Processes of this stack that outlived their parent, found by a mark in their environment.

A killed scheduler leaves its workers, a killed process host leaves everything. The mark (run-time folder and name) is
set by the launcher and inherited by children, so only processes of this very stack are ever ended.
"""

from __future__ import annotations

import contextlib
import os

import psutil

from include.settings import Settings

MARK_HOME = "STACK_HOME"
MARK_PROCESS = "STACK_PROCESS"


def find_leftovers(settings: Settings, name: str | None = None) -> list[psutil.Process]:
    """Processes that carry this stack's mark (and ``name``'s, if given), without ourselves and our parents."""
    own = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    found = []
    for process in psutil.process_iter():
        try:
            marks = process.environ()
            alive = process.status() != psutil.STATUS_ZOMBIE
        except (psutil.Error, OSError):  # another user's process, or gone meanwhile
            continue
        same_home = marks.get(MARK_HOME) == str(settings.home)
        if alive and same_home and process.pid not in own and name in (None, marks.get(MARK_PROCESS)):
            found.append(process)
    return found


def end_leftovers(settings: Settings, name: str | None = None, grace: float = 5.0) -> list[int]:
    """End them: SIGTERM, after ``grace`` seconds SIGKILL. Returns the pids ended."""
    leftovers = find_leftovers(settings, name)
    for process in leftovers:
        _signal(process, "terminate")
    _, stubborn = psutil.wait_procs(leftovers, timeout=grace if leftovers else 0)
    for process in stubborn:
        _signal(process, "kill")
    psutil.wait_procs(stubborn, timeout=5)
    return [process.pid for process in leftovers]


def _signal(process: psutil.Process, verb: str) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        getattr(process, verb)()
