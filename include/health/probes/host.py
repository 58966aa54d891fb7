"""``HOST``: room on the disks, memory, open files."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import psutil

from include.health.observations import HostFacts, Observation, Outcome, Probe
from include.health.probes.base import seen_well
from include.settings import Settings
from include.stack.kafka import broker_data
from include.stack.mariadb import data_dir

_FILE_NR = Path("/proc/sys/fs/file-nr")


def watched_folders(settings: Settings) -> dict[str, Path]:
    """Where the pipeline writes, by the names of ``HostFacts``. What is not on this machine is not there."""
    return {
        "kafka": broker_data(settings),
        "mysql": data_dir(settings),
        "checkpoint": settings.checkpoint_dir,
        "incidents": settings.data_dir / "incidents",
    }


class HostProbe:
    """Asks the machine itself. ``pids``: of the processes whose open files are compared with their limits; none where
    the processes are in containers of their own.
    """

    name = Probe.HOST
    every = 10.0
    deadline = 2.0
    overrun = Outcome.BLIND

    def __init__(self, folders: Mapping[str, Path], pids: Callable[[], Iterable[int]]) -> None:
        self._folders, self._pids = folders, pids

    def look(self) -> Observation:
        """``HostFacts``."""
        usage = {name: shutil.disk_usage(path) for name, path in self._folders.items() if path.is_dir()}
        memory = psutil.virtual_memory()
        facts = HostFacts(
            disk_free_bytes={name: disk.free for name, disk in usage.items()},
            disk_free_share={name: round(disk.free / disk.total, 4) for name, disk in usage.items() if disk.total},
            memory_free_share=round(memory.available / memory.total, 4),
            file_descriptors_share=round(max([_system_files(), *map(_process_files, self._pids())]), 4),
        )
        return seen_well(self.name, facts)

    def close(self) -> None:
        """See ``Probe``."""


def _system_files() -> float:
    """Share of the files that the whole machine may have open."""
    allocated, _, most = map(int, _FILE_NR.read_text().split())
    return allocated / most


def _process_files(pid: int) -> float:
    """Share of the files that one process may have open; of a process that has ended or is not ours, nothing."""
    try:
        process = psutil.Process(pid)
        most = process.rlimit(psutil.RLIMIT_NOFILE)[0]
        return process.num_fds() / most if most > 0 else 0.0
    except psutil.Error:
        return 0.0
