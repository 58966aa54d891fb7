"""Who holds an action or a lease: a process, named so that anybody on its host can tell whether it still runs."""

from __future__ import annotations

import os
import socket
from functools import cache
from pathlib import Path

from include.services.processes import ProcessIdentity, identify, is_alive

_BOOT = Path("/proc/sys/kernel/random/boot_id")
_PID_NAMESPACE = Path("/proc/self/ns/pid")


def this_process() -> str:
    """Host, the place that its pids count in, pid, and start time (in clock ticks since boot).

    A start time by the wall clock would change when that clock is set, and a living process would look dead.
    """
    process = identify(os.getpid())
    if process is None:
        raise RuntimeError("this process is not found under /proc; the guardrails need it")
    return f"{_here()}:{process.pid}:{process.start_ticks}"


def alive(holder: str) -> bool | None:
    """Whether the process still runs; ``None``: it belongs to another host (or container, or boot), or is no process.

    Nothing follows from ``None``: such an action or lease ends by expiring.
    """
    here, _, rest = holder.partition(f"{_here()}:")
    pid, _, ticks = rest.partition(":")
    if here or not (pid.isdecimal() and ticks.isdecimal()):
        return None
    return is_alive(ProcessIdentity(int(pid), int(ticks)))


@cache
def _here() -> str:
    """Hosts may share a name, and a container has pids of its own: these two tell them apart."""
    boot = _BOOT.read_text().strip()[:8] if _BOOT.exists() else "-"
    namespace = _PID_NAMESPACE.stat().st_ino if _PID_NAMESPACE.exists() else 0
    return f"{socket.gethostname()}:{boot}-{namespace}"
