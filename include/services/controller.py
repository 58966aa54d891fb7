"""The ServiceController port: what the pipeline may ask of a process host, whichever it is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol, runtime_checkable


class ServiceState(StrEnum):
    """What a service is doing."""

    RUNNING = "running"
    STARTING = "starting"  # has a process, not yet counted as running by the host
    STOPPING = "stopping"  # was told to end, its process is still there
    STOPPED = "stopped"  # never started, or ended on request
    EXITED = "exited"  # ended on its own
    BACKOFF = "backoff"  # failed to start, the host will try again
    FATAL = "fatal"  # failed to start, the host gave up
    UNKNOWN = "unknown"


class ServiceOutcome(StrEnum):
    """What a verb did."""

    STARTED = "started"
    ALREADY_RUNNING = "already_running"
    STOPPED = "stopped"  # on SIGTERM
    KILLED = "killed"  # SIGTERM was not enough: the process group got SIGKILL
    ALREADY_STOPPED = "already_stopped"
    RESTARTED = "restarted"
    RESTARTED_AFTER_KILL = "restarted_after_kill"


@dataclass(frozen=True, slots=True)
class ServiceStatus:
    """One service at one moment.

    ``pid`` is set exactly while the service has a live process. ``started_at`` (UTC) is the start of the present or
    the last process, None if there never was one. ``exit_code`` is that of the last process once it ended: negative
    when a signal ended it, None when there was none or the host lost it. ``description`` is the host's own word.
    ``suspended``: the host itself keeps the process from running on (a paused container). Whether the pid means
    anything on this machine, :mod:`include.services.process_table` knows.
    """

    name: str
    state: ServiceState
    pid: int | None = None
    started_at: datetime | None = None
    exit_code: int | None = None
    description: str = ""
    suspended: bool = False

    @property
    def stopped_on_request(self) -> bool:
        """It had a process, and someone asked the host to end it."""
        return self.state is ServiceState.STOPPED and self.started_at is not None


def stop_then_start(controller: ServiceController, name: str, timeout: float) -> ServiceOutcome:
    """What ``restart`` means for every adapter."""
    stopped = controller.stop(name, timeout)
    started = controller.start(name, timeout)
    if stopped is ServiceOutcome.ALREADY_STOPPED:
        return started
    return ServiceOutcome.RESTARTED_AFTER_KILL if stopped is ServiceOutcome.KILLED else ServiceOutcome.RESTARTED


class ServiceController(Protocol):
    """Starts, stops and shows services by name.

    Calls block (run them in a thread from an event loop), are safe from several threads, and each ends within its
    ``timeout`` (plus a few seconds of forced stop) or the adapter's own deadline. All raise ``UnknownServiceError``
    for a name the host does not have, ``HostForbidsError`` where a right is missing and, except :meth:`tail`,
    ``HostUnreachableError`` when the host is away.
    """

    def status(self, name: str) -> ServiceStatus:
        """The state of one service."""
        ...

    def statuses(self) -> tuple[ServiceStatus, ...]:
        """The state of every service, by name."""
        ...

    def start(self, name: str, timeout: float) -> ServiceOutcome:
        """Have the service running: ``STARTED`` or ``ALREADY_RUNNING``; never a second copy.

        Raises ``StartFailedError`` when it ends at once, ``ServiceTimeoutError``.
        """
        ...

    def stop(self, name: str, timeout: float) -> ServiceOutcome:
        """Have the service stopped: SIGTERM, after ``timeout`` seconds SIGKILL, and nothing of it is left behind.

        Returns ``STOPPED``, ``KILLED`` or ``ALREADY_STOPPED``. Raises ``ServiceTimeoutError`` if even that fails.
        What a process leaves behind ends within ``timeout``, too (``KILLED`` if that took force); the end of a
        container's first process is at once that of all others in it, which counts as ``STOPPED``.
        """
        ...

    def restart(self, name: str, timeout: float) -> ServiceOutcome:
        """Stop, then start: ``RESTARTED``, ``RESTARTED_AFTER_KILL``, or ``STARTED`` if it was not running.

        ``timeout`` counts for each half. Raises as :meth:`stop` and :meth:`start`.
        """
        ...

    def tail(self, name: str, lines: int) -> tuple[str, ...]:
        """The last lines of the service's log, oldest first.

        Works while the host is away, unless the host itself keeps the logs (see :class:`KeepsLogs`).
        """
        ...


@runtime_checkable
class KeepsLogs(Protocol):
    """A process host that keeps the logs of its services itself: there are no log files on this machine, and while it
    is away ``tail`` may raise ``HostUnreachableError``, too.
    """

    def log_since(self, name: str, mark: str, most: int) -> tuple[tuple[str, ...], str]:
        """The lines that came after ``mark``, at most the newest ``most``, and the mark behind the last of them.

        An empty mark: none yet; gives no lines, only the mark of the log's present end. Raises as ``tail``.
        """
        ...

    def run_log(self, name: str, most: int) -> tuple[str, ...]:
        """The newest ``most`` lines of the present process; when there is none, of the last. Raises as ``tail``."""
        ...
