"""``LOGS``: new errors in the processes' logs, by class."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from include.health.observations import LogFacts, Observation, Outcome, Probe
from include.health.probes.base import seen_well
from include.health.probes.log_events import ErrorFinder
from include.health.probes.log_tail import LogTail


class LogsProbe:
    """Reads what was added to ``<folder>/<service>.log`` since the last look."""

    name = Probe.LOGS
    every = 0.5  # why a process ended must be known about as soon as that it did
    deadline = 2.0
    overrun = Outcome.BLIND

    def __init__(self, folder: Path, services: Iterable[str]) -> None:
        self._logs = {name: (LogTail(folder / f"{name}.log"), ErrorFinder()) for name in services}

    def look(self) -> Observation:
        """``LogFacts``: only services that have new errors; ``newest`` by service."""
        errors: dict[str, dict[str, int]] = {}
        newest: dict[str, str] = {}
        for service, (tail, finder) in self._logs.items():
            if found := finder.feed(tail.new_lines()):
                errors[service] = dict(Counter(error.kind.value for error in found))
                newest[service] = found[-1].text
        return seen_well(self.name, LogFacts(errors=errors, newest=newest))

    def close(self) -> None:
        """See ``Probe``."""
