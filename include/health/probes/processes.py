"""``PROCESSES``: the process host's word on every service of the pipeline."""

from __future__ import annotations

from pathlib import Path

from include.health.observations import Code, Observation, Outcome, Probe, ProcessesFacts, ProcessFacts
from include.health.probes.base import blind, seen_well
from include.runtime.clock import Clock, SystemClock
from include.services.controller import ServiceController, ServiceState, ServiceStatus
from include.services.errors import HostUnreachableError
from include.services.names import SERVICES
from include.services.supervision_store import SupervisionStore


class ProcessesProbe:
    """One question for all services. The host itself is nobody's target: without it nothing is said about them.

    ``pids``: of the live processes, as seen by the last look.
    """

    name = Probe.PROCESSES
    every = 0.5
    deadline = 2.5  # the controller's own is 2 s
    overrun = Outcome.BLIND

    def __init__(self, controller: ServiceController, run_dir: Path, clock: Clock | None = None) -> None:
        self._controller, self._run_dir, self._clock = controller, run_dir, clock or SystemClock()
        self.pids: tuple[int, ...] = ()

    def look(self) -> Observation:
        """``ProcessesFacts`` of the services that the host has."""
        try:
            statuses = [status for status in self._controller.statuses() if status.name in SERVICES]
        except HostUnreachableError as error:
            return blind(self.name, Code.NOT_AVAILABLE, error)
        self.pids = tuple(status.pid for status in statuses if status.pid)
        now = self._clock.time_ms() / 1000
        return seen_well(self.name, ProcessesFacts(services={s.name: self._facts(s, now) for s in statuses}))

    def close(self) -> None:
        """See ``Probe``."""

    def _facts(self, status: ServiceStatus, now: float) -> ProcessFacts:
        started = status.started_at.timestamp() if status.pid and status.started_at else None
        return ProcessFacts(
            state=status.state.value,
            pid=status.pid,
            age_seconds=None if started is None else max(0.0, now - started),
            exit_code=status.exit_code,
            on_request=self._on_request(status),
        )

    def _on_request(self, status: ServiceStatus) -> bool:
        """Somebody wants it stopped: the host was asked, or supervision remembers the wish."""
        if status.stopped_on_request or status.state is ServiceState.STOPPING:
            return True
        return status.pid is None and SupervisionStore(status.name, self._run_dir).load().hold is not None
