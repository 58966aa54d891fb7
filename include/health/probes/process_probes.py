"""The probes of this machine: its processes, what the stream processor says, the machine itself, the logs."""

from __future__ import annotations

from include.health.probes.base import Probe
from include.health.probes.host import HostProbe, watched_folders
from include.health.probes.logs import logs_probe
from include.health.probes.processes import ProcessesProbe
from include.health.probes.processor import ProcessorProbe
from include.services.controller import ServiceController
from include.services.process_table import processes_are_here
from include.settings import Settings


def process_probes(settings: Settings, controller: ServiceController) -> tuple[Probe, ...]:
    """All of them; nothing is opened yet."""
    processes = ProcessesProbe(controller, settings.run_dir)
    return (
        processes,
        ProcessorProbe(settings),
        HostProbe(watched_folders(settings), (lambda: processes.pids) if processes_are_here(settings) else tuple),
        logs_probe(settings, controller),
    )
