"""``LOGS``: new errors in the processes' logs, by class."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from include.health.observations import Code, LogFacts, Observation, Outcome, Probe
from include.health.probes.base import blind, seen_well
from include.health.probes.log_events import ErrorFinder, LogError
from include.health.probes.log_tail import HostedLogTail, LogTail
from include.services.controller import KeepsLogs, ServiceController
from include.services.errors import HostUnreachableError
from include.services.names import SERVICES
from include.settings import Settings


class LogsProbe:
    """Reads what was added to ``<folder>/<service>.log`` since the last look, or to the logs that ``host`` keeps."""

    name = Probe.LOGS
    overrun = Outcome.BLIND

    def __init__(self, folder: Path, services: Iterable[str], host: KeepsLogs | None = None) -> None:
        tails = {
            name: LogTail(folder / f"{name}.log") if host is None else HostedLogTail(host, name) for name in services
        }
        self._logs = {name: (tail, ErrorFinder()) for name, tail in tails.items()}
        self._untold: list[tuple[str, LogError]] = []
        # why a process ended must be known about as soon as that it did; files cost less than questions
        self.every, self.deadline = (0.5, 2.0) if host is None else (1.0, 4.0)

    def look(self) -> Observation:
        """``LogFacts``: only services that have new errors; ``newest`` by service."""
        try:
            for service, (tail, finder) in self._logs.items():
                self._untold += [(service, error) for error in finder.feed(tail.new_lines())]
        except HostUnreachableError as error:
            return blind(self.name, Code.NOT_AVAILABLE, error)
        found, self._untold = self._untold, []
        counts: dict[str, Counter[str]] = {}
        for service, each in found:
            counts.setdefault(service, Counter())[each.kind.value] += 1
        errors = {service: dict(kinds) for service, kinds in counts.items()}
        return seen_well(self.name, LogFacts(errors=errors, newest={service: each.text for service, each in found}))

    def close(self) -> None:
        """See ``Probe``."""


def logs_probe(settings: Settings, controller: ServiceController) -> LogsProbe:
    """Of files, or of a process host that keeps the logs itself."""
    return LogsProbe(settings.log_dir, SERVICES, controller if isinstance(controller, KeepsLogs) else None)
