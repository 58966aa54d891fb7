"""A process host for one job that a test has started: remedies stop and start the real process through it."""

from __future__ import annotations

from datetime import UTC, datetime

from include.services.controller import ServiceOutcome, ServiceState, ServiceStatus, stop_then_start
from include.services.errors import UnknownServiceError
from tests.support.stream_job import StreamJob

NAME = "stream_processor"


class JobController:
    """See :class:`include.services.controller.ServiceController`."""

    def __init__(self, job: StreamJob) -> None:
        self.job, self._started_at, self._asked = job, datetime.now(UTC), False

    def status(self, name: str) -> ServiceStatus:
        if name != NAME:
            raise UnknownServiceError(name, (NAME,))
        if self.job.alive:
            return ServiceStatus(name, ServiceState.RUNNING, self.job.pid, self._started_at)
        state = ServiceState.STOPPED if self._asked else ServiceState.EXITED
        return ServiceStatus(name, state, None, self._started_at, self.job.exit_code)

    def statuses(self) -> tuple[ServiceStatus, ...]:
        return (self.status(NAME),)

    def start(self, name: str, timeout: float) -> ServiceOutcome:
        if self.status(name).pid is not None:
            return ServiceOutcome.ALREADY_RUNNING
        self._started_at, self._asked = datetime.now(UTC), False
        self.job.start(wait=False)
        return ServiceOutcome.STARTED

    def stop(self, name: str, timeout: float) -> ServiceOutcome:
        if self.status(name).pid is None:
            return ServiceOutcome.ALREADY_STOPPED
        self._asked = True
        self.job.kill()
        return ServiceOutcome.KILLED

    def restart(self, name: str, timeout: float) -> ServiceOutcome:
        return stop_then_start(self, name, timeout)

    def tail(self, name: str, lines: int) -> tuple[str, ...]:
        return tuple(self.job.log.read_text(errors="replace").splitlines()[-lines:])
