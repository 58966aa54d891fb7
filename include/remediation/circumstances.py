"""What stands in the way of a start and no remedy may clear away: a port that is taken, a disk that is full."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from include.health.probes.base import one_line
from include.remediation.model import Finding, Need
from include.remediation.waiting import until
from include.runtime.clock import SystemClock
from include.services.process_table import processes_are_here
from include.settings import PREFIX, ServiceAdapter, Settings
from include.stack.leftovers import MARK_HOME, MARK_PROCESS
from include.stack.ports import bind_error

_DYING_SECONDS = 1.5
FULL_BYTES = 64 * 1024 * 1024  # with less room neither the broker nor the database starts
_LONGEST_COMMAND = 160
_MOST_FOLDERS = 5
_MOST_FILES = 100_000  # counted for the sizes of folders

Usage = Callable[[Path], "shutil._ntuple_diskusage"]


@dataclass(frozen=True, slots=True)
class Holder:
    """The process that listens on a port. Without ``pid`` it belongs to another user and cannot be seen."""

    port: int
    pid: int | None = None
    command: str = ""
    user: str = ""
    since: datetime | None = None

    def __str__(self) -> str:
        if self.pid is None:
            return f"port {self.port} is held by a process of another user"
        since = f", running since {self.since:%Y-%m-%d %H:%M:%S} UTC" if self.since else ""
        return f"port {self.port} is held by process {self.pid} ({self.command}; user {self.user}{since})"


def port_conflict(settings: Settings, service: str, names: Iterable[str]) -> Finding | None:
    """``BY_PEOPLE`` if one of the ports of a service without a process is taken by a stranger; ``names`` of settings.

    What an earlier copy of the service left behind is no stranger: the launcher ends it. A process that has just been
    killed may hold its port for a moment longer, so what is found must last. A container has ports of its own: nobody
    else can have them, and what the engine says of one that it publishes is the reason of a failed start.
    """
    if not processes_are_here(settings):
        return None

    def look() -> dict[str, Holder]:
        ports = {name: getattr(settings, name) for name in names}
        return {name: found for name, port in ports.items() if (found := _stranger(settings, service, port))}

    found = until(SystemClock(), _DYING_SECONDS, look, lambda holders: not holders)
    if not found:
        return None
    who = "; ".join(f"{holder} (setting {PREFIX}{name.upper()})" for name, holder in found.items())
    facts = {
        "ports": {name: holder.port for name, holder in found.items()},
        "pids": [holder.pid for holder in found.values()],
        "commands": [holder.command for holder in found.values()],
    }
    text = f"{service} cannot start: {who}. Starting it again would only fail again: end that process, or move it."
    return Finding(Need.BY_PEOPLE, text, facts)


def holder_of(port: int) -> Holder | None:
    """Who listens on a port of loopback; ``None`` if it is free."""
    return None if bind_error(port) is None else _listener(port) or Holder(port)


def listening_at(pid: int) -> tuple[str, ...]:
    """Addresses on which a process listens, as ``host:port``."""
    with suppress(psutil.Error):
        connections = psutil.Process(pid).net_connections("tcp")
        return tuple(sorted(f"{c.laddr.ip}:{c.laddr.port}" for c in connections if c.status == psutil.CONN_LISTEN))
    return ()


def folder_of_server(settings: Settings, folder: Path) -> Path | None:
    """The data folder of Kafka or MySQL; ``None`` if it cannot be seen from here: a volume of its container, or a place
    that only its systemd unit knows.
    """
    if settings.service_adapter is ServiceAdapter.SUPERVISORD:
        return folder
    return folder if settings.service_adapter is ServiceAdapter.SYSTEMD and folder.is_dir() else None


def full_disk(
    service: str, folder: Path | None, said: str | None = None, usage: Usage = shutil.disk_usage
) -> Finding | None:
    """``BY_PEOPLE`` if there is no room left where a service writes. ``said``: its own words about it, which count, and
    are all there is when its ``folder`` cannot be seen from here (``None``).
    """
    if folder is None:
        return None if said is None else _full_elsewhere(service, said)
    place = next((each for each in (folder, *folder.parents) if each.exists()), folder)
    disk = usage(place)
    if disk.free >= FULL_BYTES and said is None:
        return None
    facts = {**disk_facts(folder, usage), **({"said": said} if said else {})}
    biggest = ", ".join(f"{name} {size}" for name, size in facts["biggest"].items()) or "not known"
    words = f' {service} says: "{said}"' if said else ""
    text = (
        f"The disk of {service} is full: {facts['free']} of {facts['total']} are free in {folder}.{words} A restart"
        f" needs room and makes it worse. Make room, never by deleting files of {service}. Biggest folders: {biggest}."
    )
    return Finding(Need.BY_PEOPLE, text, facts)


def _full_elsewhere(service: str, said: str) -> Finding:
    text = (
        f'The disk of {service} is full; {service} says: "{said}" Its data folder cannot be seen from here, so how full'
        f" it is must be looked at on its host. Make room there, never by deleting files of {service}. A restart needs"
        " room and makes it worse."
    )
    return Finding(Need.BY_PEOPLE, text, {"said": said})


def disk_facts(folder: Path, usage: Usage = shutil.disk_usage) -> dict[str, Any]:
    """Free and total size of the disk of a folder, and the biggest folders beside and in it."""
    place = next((each for each in (folder, *folder.parents) if each.exists()), folder)
    disk = usage(place)
    biggest = {name: in_words(size) for name, size in _biggest(folder)}
    facts: dict[str, Any] = {"folder": str(folder), "free": in_words(disk.free), "total": in_words(disk.total)}
    return {**facts, "free_bytes": disk.free, "total_bytes": disk.total, "biggest": biggest}


def in_words(size: float) -> str:
    """A number of bytes for people: ``1.2 GiB``."""
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"


def folder_size(folder: Path) -> int:
    """Bytes of all files below."""
    return sum(_sizes(folder))


def _stranger(settings: Settings, service: str, port: int) -> Holder | None:
    holder = holder_of(port)
    if holder is None or (holder.pid is not None and _is_left_behind(settings, service, holder.pid)):
        return None
    return holder


def _is_left_behind(settings: Settings, service: str, pid: int) -> bool:
    with suppress(psutil.Error, OSError):
        marks = psutil.Process(pid).environ()
        return marks.get(MARK_HOME) == str(settings.home) and marks.get(MARK_PROCESS) == service
    return False


def _listener(port: int) -> Holder | None:
    mine = [c for c in psutil.net_connections("tcp") if c.laddr and c.laddr.port == port and c.pid]
    mine.sort(key=lambda connection: connection.status != psutil.CONN_LISTEN)
    return _described(port, mine[0].pid) if mine and mine[0].pid else None


def _described(port: int, pid: int) -> Holder:
    try:
        process = psutil.Process(pid)
        command = one_line(" ".join(process.cmdline()) or process.name())[:_LONGEST_COMMAND]
        since = datetime.fromtimestamp(process.create_time(), UTC)
        return Holder(port, pid, command, process.username(), since)
    except psutil.Error:
        return Holder(port, pid, "its command cannot be read")


def _biggest(folder: Path) -> list[tuple[str, int]]:
    """Of the folders beside it and in it."""
    found: dict[str, int] = {}
    for place in (folder.parent, folder):
        with suppress(OSError):
            inside = [each for each in place.iterdir() if each.is_dir() and not each.is_symlink()]
            found |= {f"{place.name}/{each.name}": folder_size(each) for each in inside if each != folder.parent}
    return sorted(found.items(), key=lambda item: -item[1])[:_MOST_FOLDERS]


def _sizes(folder: Path) -> Iterator[int]:
    counted = 0
    for place, _, files in os.walk(folder):
        for name in files:
            counted += 1
            if counted > _MOST_FILES:
                return
            with suppress(OSError):
                yield (Path(place) / name).lstat().st_size
