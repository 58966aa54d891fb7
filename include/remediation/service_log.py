"""What a process said in its log since its last start: did it come up, and if not, why?"""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from include.health.probes.base import one_line
from include.remediation.waiting import until
from include.runtime.clock import SystemClock
from include.services.controller import KeepsLogs, ServiceController, ServiceStatus
from include.services.errors import ServicesError
from include.warehouse.dialect import LOG_FIRST_LINE

_COLLECTED_SECONDS = 1.0  # milliseconds as a rule; a host may also have lost the exit code
_LINES = 4_000  # a broker writes some hundred when it starts
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[T ] ?\d?\d:\d\d:\d\d\S*")
_BAD = re.compile(r"\[(ERROR|FATAL)\]|^(?:Exception in thread .*|[\w.$]+)(?:Error|Exception)(?::|$)|^Caused by: ")

_FIRST_LINE = re.compile(rf"Log4jController` MBean|{LOG_FIRST_LINE}")  # of the broker, of the database

_NO_SPACE = re.compile(r"no space left|disk[ _]?(is )?full|disk quota|errcode: 28|errno: 28\b", re.IGNORECASE)
_PORT_TAKEN = re.compile(r"address already in use|bind on tcp/ip port", re.IGNORECASE)
_CORRUPT = re.compile(r"corrupt|invalid magic|crc mismatch|log dirs .* have failed|error while loading log", re.I)
_NOT_DAMAGE = re.compile(r"denied|permission|lock on file|another process", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class LastRun:
    """``lines``: those of its errors, oldest first. ``came_up``: whether it said that it is ready."""

    lines: tuple[str, ...]
    came_up: bool

    @property
    def no_space(self) -> str | None:
        """The line that says that the disk is full."""
        return self._newest(_NO_SPACE)

    @property
    def port_taken(self) -> str | None:
        """The line that says that a port is taken."""
        return self._newest(_PORT_TAKEN)

    def damage(self, folder: str | None) -> str | None:
        """The line that says why it did not come up with the data in ``folder``: they are damaged.

        Where the folder lies is not known of every process host (``None``): then only plain words count. ``None`` is
        the answer if it came up (what was damaged has been mended then), or if something else is named.
        """
        if self.came_up or self.no_space or self.port_taken:
            return None
        named = [line for line in self.lines if folder and folder in line and not _NOT_DAMAGE.search(line)]
        return self._newest(_CORRUPT) or (named[-1] if named else None)

    @property
    def last_words(self) -> str:
        """The newest line of an error; empty if there is none."""
        return self.lines[-1] if self.lines else ""

    def _newest(self, sign: re.Pattern[str]) -> str | None:
        return next((line for line in reversed(self.lines) if sign.search(line)), None)


def settled_status(controller: ServiceController, service: str) -> ServiceStatus:
    """Its status; of a process that has just ended, once its host has collected it: then its log is whole.

    Raises :class:`~include.services.errors.ServicesError`.
    """

    def collected(status: ServiceStatus) -> bool:
        return status.pid is not None or status.exit_code is not None or status.started_at is None

    return until(SystemClock(), _COLLECTED_SECONDS, lambda: controller.status(service), collected)


def last_run(controller: ServiceController, service: str, ready: str) -> LastRun:
    """Read the end of the log. ``ready``: the words with which the service says that it has come up.

    Raises :class:`~include.services.errors.ServicesError`.
    """
    started = settled_status(controller, service).started_at
    if isinstance(controller, KeepsLogs):  # it knows which lines are of this run; clocks and zones do not matter
        return read_run(controller.run_log(service, _LINES), None, ready)
    return read_run(controller.tail(service, _LINES), started, ready)


def read_run(lines: Iterable[str], started: datetime | None, ready: str) -> LastRun:
    """The lines since ``started``; all of them if that is not known. Hosts know it by the second only, so a process's
    own first line begins anew what an earlier one said in that second.
    """
    since = None if started is None else started.replace(microsecond=0)
    kept: list[str] = []
    came_up, current = False, since is None
    for line in lines:
        if since is not None and (moment := _moment(line)) is not None:
            current = moment >= since
        if not current:
            continue
        if _FIRST_LINE.search(line):
            kept, came_up = [], False
        came_up = came_up or ready in line
        if _BAD.search(line):
            kept.append(one_line(line))
    return LastRun(tuple(kept), came_up)


def why_it_ended(controller: ServiceController, service: str, ready: str) -> str:
    """The last error in its log, for a report; empty if nothing is known."""
    with suppress(ServicesError, OSError):
        return last_run(controller, service, ready).last_words
    return ""


def _moment(line: str) -> datetime | None:
    match = _MOMENT.match(line)
    if match is None:
        return None
    with suppress(ValueError):
        return datetime.fromisoformat(match[0].replace("  ", " 0")).astimezone()  # without a zone it is local time
    return None
