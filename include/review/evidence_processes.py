"""The processes as their host and the machine see them, who holds which port, and the machine itself."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from typing import Any

import msgspec
import psutil

from include.health.observations import HostFacts
from include.health.observations import Probe as ProbeName
from include.review.evidence import BlockKind
from include.review.evidence_probes import Probes
from include.review.evidence_source import Found, Source
from include.services.controller import ServiceController, ServiceState, ServiceStatus
from include.services.errors import ServicesError
from include.services.names import SERVICES
from include.services.process_table import processes_are_here
from include.services.supervision_store import SupervisionStore
from include.settings import Settings
from include.stack.ports import holders
from include.stack.processes import processes

_NOT_RUNNING = {
    psutil.STATUS_STOPPED: "suspended by a signal",
    psutil.STATUS_DISK_SLEEP: "waits for a disk",
    psutil.STATUS_ZOMBIE: "has ended, and nobody noticed",
}


def machine_sources(settings: Settings, controller: ServiceController, probes: Probes) -> tuple[Source, ...]:
    """Processes with their ports; disk, memory, load."""
    return (
        Source("processes", BlockKind.PROCESS, lambda: read_processes(settings, controller)),
        Source("host", BlockKind.HOST, lambda: read_host(probes)),
    )


def read_processes(settings: Settings, controller: ServiceController) -> Found:
    """Without the process host still who holds which port; of containers only what their host tells."""
    try:
        statuses, note = controller.statuses(), ""
    except ServicesError as error:
        statuses, note = (), str(error)
    here = processes_are_here(settings)
    listening = _ports(settings, {status.name: status for status in statuses}) if here else []
    services = [_service(status, settings) for status in statuses]
    told = [_told(service) for service in services if service["name"] in SERVICES and _odd(service)]
    foreign = [
        f"port {each['port']} of {each['service']} is held by {each['holder']}" for each in listening if each["foreign"]
    ]
    return Found({"services": services, "ports": listening}, bool(statuses), note, (*foreign, *told))


def read_host(probes: Probes) -> Found:
    """What the probe sees, and what the machine is doing."""
    seen, memory, load = probes.look(ProbeName.HOST), psutil.virtual_memory(), os.getloadavg()
    content = {
        "observation": msgspec.to_builtins(seen),
        "processors": os.cpu_count(),
        "load_average": [round(each, 2) for each in load],
        "memory_bytes": {"total": memory.total, "available": memory.available},
        "swap_used_bytes": psutil.swap_memory().used,
        "up_seconds": round(time.time() - psutil.boot_time()),
    }
    facts = seen.facts if isinstance(seen.facts, HostFacts) else None
    disks = [f"disk of {name}: {share:.0%} free" for name, share in facts.disk_free_share.items()] if facts else []
    lines = (
        f"load {load[0]:.1f} on {os.cpu_count()} processors, {memory.available / memory.total:.0%} of memory free",
    )
    return Found(content, True, seen.error or "", (*lines, *disks))


def _ports(settings: Settings, statuses: dict[str, ServiceStatus]) -> list[dict[str, Any]]:
    """``foreign``: somebody has the port although the service has no process."""
    wanted = [(each.name, setting, port) for each in processes(settings) for setting, port in each.ports]
    held = holders(port for _, _, port in wanted)
    return [
        {
            "service": name,
            "setting": setting,
            "port": port,
            "holder": held[port],
            "foreign": bool(held[port]) and name in statuses and statuses[name].pid is None,
        }
        for name, setting, port in wanted
    ]


def _service(status: ServiceStatus, settings: Settings) -> dict[str, Any]:
    hold = SupervisionStore(status.name, settings.run_dir).load().hold if status.name in SERVICES else None
    return {
        "name": status.name,
        "state": status.state.value,
        "pid": status.pid,
        "exit_code": status.exit_code,
        "started_at": status.started_at and status.started_at.isoformat(),
        "description": status.description,
        "suspended": status.suspended,
        "held_because": hold and hold.reason.value,
        "process": _process(status.pid) if status.pid and processes_are_here(settings) else None,
    }


def _process(pid: int) -> dict[str, Any] | None:
    """As the kernel sees it; ``status`` tells a suspended one (``stopped``) from one that waits (``disk-sleep``)."""
    try:
        process = psutil.Process(pid)
        with process.oneshot():
            times, memory = process.cpu_times(), process.memory_info()
            return {
                "status": process.status(),
                "command_line": " ".join(process.cmdline()),
                "began_at": datetime.fromtimestamp(process.create_time(), UTC).isoformat(timespec="seconds"),
                "processor_seconds": round(times.user + times.system, 1),
                "resident_bytes": memory.rss,
                "threads": process.num_threads(),
                "open_files": process.num_fds(),
            }
    except psutil.Error:  # it has ended, or is not ours to look at
        return None


def _odd(service: dict[str, Any]) -> bool:
    process = service["process"] or {}
    return service["state"] != ServiceState.RUNNING or service["suspended"] or process.get("status") in _NOT_RUNNING


def _told(service: dict[str, Any]) -> str:
    parts = [str(service["state"])]
    if service["exit_code"] is not None:
        parts.append(f"exit code {service['exit_code']}")
    if service["held_because"]:
        parts.append(f"held: {service['held_because']}")
    if service["suspended"]:
        parts.append("suspended by its host")
    if (process := service["process"]) and process["status"] in _NOT_RUNNING:
        parts.append(_NOT_RUNNING[process["status"]])
    return f"{service['name']}: {', '.join(parts)}"
