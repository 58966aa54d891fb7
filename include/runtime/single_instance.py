"""Never two copies: a process takes an exclusive file lock that the kernel frees when it ends, however it ends."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from include.runtime.errors import AlreadyRunningError


def hold_single_instance(name: str, run_dir: Path) -> int:
    """Lock ``<run_dir>/<name>.lock`` for the life of this process and write our pid into it.

    Returns the open file descriptor (keep it open; it is not inherited by children).
    Raises :class:`AlreadyRunningError` when another process holds the lock.
    """
    run_dir.mkdir(parents=True, exist_ok=True)
    path = run_dir / f"{name}.lock"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(descriptor, 32).decode().strip()
        os.close(descriptor)
        raise AlreadyRunningError(name, holder, path) from None
    os.ftruncate(descriptor, 0)
    os.write(descriptor, f"{os.getpid()}\n".encode())
    return descriptor
