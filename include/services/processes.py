"""Operating-system processes by identity: a pid alone may have been given to another process since.

Linux only (``/proc``, pidfd). Works for processes that are not our children.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_KILL_SECONDS = 5.0  # the kernel needs a moment, longer when the process is in a system call


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """A process for good: its pid and its start time in clock ticks since boot (``/proc/<pid>/stat``, field 22).

    Of a process that only its host can see, the host's pid and start time (:mod:`include.services.process_table`).
    """

    pid: int
    start_ticks: int


@dataclass(frozen=True, slots=True)
class _Stat:
    state: str
    group: int
    start_ticks: int


def _stat(pid: int) -> _Stat | None:
    try:
        text = (_PROC / str(pid) / "stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = text.rpartition(")")[2].split()  # the command name before it may hold blanks and brackets
    return _Stat(fields[0], int(fields[2]), int(fields[19]))


def identify(pid: int | None) -> ProcessIdentity | None:
    """The live process that has ``pid`` now; None when there is none, or only a zombie."""
    stat = _stat(pid) if pid else None
    return ProcessIdentity(pid, stat.start_ticks) if pid and stat and stat.state not in "ZX" else None


def is_alive(process: ProcessIdentity) -> bool:
    """Whether this very process still runs."""
    return identify(process.pid) == process


@contextlib.contextmanager
def _pidfd(process: ProcessIdentity) -> Iterator[int | None]:
    """A descriptor that becomes readable when the process ends; None when it has ended already."""
    try:
        descriptor = os.pidfd_open(process.pid)
    except ProcessLookupError:
        yield None
        return
    try:  # whoever has the pid now is held by the descriptor: is it still the one meant?
        yield descriptor if is_alive(process) else None
    finally:
        os.close(descriptor)


def wait_exit(process: ProcessIdentity, timeout: float) -> bool:
    """Wait until the process has ended (True) or ``timeout`` seconds have passed (False)."""
    with _pidfd(process) as descriptor:
        if descriptor is None:
            return True
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        return bool(poll.poll(max(0, timeout) * 1000))


async def until_exit(process: ProcessIdentity) -> None:
    """Return as soon as the process has ended (about a millisecond later), without blocking the event loop."""
    with _pidfd(process) as descriptor:
        if descriptor is None:
            return
        loop, ended = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(descriptor, ended.set)
        try:
            await ended.wait()
        finally:
            loop.remove_reader(descriptor)


def group_members(group: int) -> tuple[int, ...]:
    """Pids of the live processes in a process group."""
    pids = (int(entry.name) for entry in _PROC.iterdir() if entry.name.isdigit())
    return tuple(p for p in pids if (s := _stat(p)) and s.group == group and s.state not in "ZX")


def kill_group(group: int) -> bool:
    """SIGKILL to every process of a group, and wait until they are gone; False when nothing was left in it."""
    if not group_members(group):
        return False
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)
    deadline = time.monotonic() + _KILL_SECONDS
    while group_members(group) and time.monotonic() < deadline:
        time.sleep(0.005)
    return True


def kill_remains(process: ProcessIdentity) -> bool:
    """:func:`kill_group` of a process that has ended, unless its pid, and so its group, belongs to another one now."""
    return identify(process.pid) in (None, process) and kill_group(process.pid)


def await_group_end(group: int, timeout: float) -> bool:
    """Give what is left of a group ``timeout`` seconds to end, then SIGKILL it; True when force was needed."""
    deadline = time.monotonic() + timeout
    while group_members(group):
        if time.monotonic() > deadline:
            return kill_group(group)
        time.sleep(0.02)
    return False


def terminate(process: ProcessIdentity, timeout: float) -> bool:
    """SIGTERM, after ``timeout`` seconds SIGKILL to its group; True when force was needed."""
    _send(process, signal.SIGTERM)
    return force_exit(process, timeout)


def force_exit(process: ProcessIdentity, timeout: float) -> bool:
    """Give the process ``timeout`` seconds to end, then SIGKILL it and its group; True when force was needed."""
    if wait_exit(process, timeout):
        return False
    stat = _stat(process.pid)
    if stat and stat.group == process.pid:  # never signal a group that it does not lead
        kill_group(process.pid)
    _send(process, signal.SIGKILL)
    wait_exit(process, _KILL_SECONDS)
    return True


def _send(process: ProcessIdentity, number: signal.Signals) -> None:
    with _pidfd(process) as descriptor, contextlib.suppress(ProcessLookupError):
        if descriptor is not None:
            signal.pidfd_send_signal(descriptor, number)


def lock_holder(name: str, run_dir: Path) -> int | None:
    """Pid of the live process that holds ``<run_dir>/<name>.lock`` (see ``include.runtime.single_instance``)."""
    path = run_dir / f"{name}.lock"
    try:
        pid = int(path.read_text().strip() or 0)
        links = list((_PROC / str(pid) / "fd").iterdir()) if identify(pid) else []
        return pid if any(_points_to(link, path) for link in links) else None
    except (FileNotFoundError, PermissionError, ValueError):
        return None


def _points_to(link: Path, path: Path) -> bool:
    try:
        return link.samefile(path)
    except OSError:
        return False
