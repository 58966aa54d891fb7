"""``make up`` from nothing and again, to the first row; memory and idle CPU of each process."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from include.drills.benchmarks.report import Section
from include.services.factory import controller_from_settings
from include.settings import PROJECT_ROOT, Settings
from include.stack.isolation import isolated_settings
from include.stack.running import environment

IDLE_SECONDS = 30.0


def run() -> Section:
    """Clone the project, bring it up with empty caches, down, and up again; then watch it at rest."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, isolated_settings() as settings:
        project, cache = Path(folder) / "project", Path(folder) / "cache"
        subprocess.run(["git", "clone", "--quiet", str(PROJECT_ROOT), str(project)], check=True)
        cold_settings = settings.model_copy(update={"cache": cache})
        install = _timed(project, cold_settings, "install")
        cold = _timed(project, cold_settings, "up")
        down = _timed(project, cold_settings, "down")
        warm = _timed(project, cold_settings, "up")
        again = _timed(project, cold_settings, "up")
        usage = _usage(cold_settings)
        _timed(project, cold_settings, "down")
    rows = [
        ["`make install`, empty caches", f"{install:.0f} s"],
        ["`make up`, nothing downloaded yet, to rows of every symbol", f"{cold:.0f} s"],
        ["`make down`", f"{down:.0f} s"],
        ["`make up` after `make down`, to rows of every symbol", f"{warm:.0f} s"],
        ["`make up` while it runs", f"{again:.0f} s"],
        *([f"`{name}`", f"{memory:.0f} MiB, {cpu:.1f} % of a core"] for name, memory, cpu in usage),
        ["all processes", f"{sum(u[1] for u in usage):.0f} MiB, {sum(u[2] for u in usage):.1f} % of a core"],
    ]
    return Section(
        "Start, memory, and CPU at rest",
        f"A fresh clone with empty package and artifact caches. Memory is the proportional set size with children; CPU "
        f"the mean of {IDLE_SECONDS:.0f} s at 20 trades/s.",
        ["what", "measured"],
        rows,
    )


def _timed(project: Path, settings: Settings, verb: str) -> float:
    caches = {"UV_NO_CACHE": "1", "PIP_NO_CACHE_DIR": "1", "PYTHON": f"{sys.base_prefix}/bin/python3", "PYTHONPATH": ""}
    started = time.perf_counter()
    done = subprocess.run(
        ["make", verb],
        cwd=project,
        env={**environment(settings), **caches},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"make {verb} failed:\n{(done.stdout + done.stderr)[-3000:]}")
    return time.perf_counter() - started


def _usage(settings: Settings) -> list[tuple[str, float, float]]:
    """Name, memory in MiB and CPU in percent of a core, of each process with its children."""
    statuses = [s for s in controller_from_settings(settings).statuses() if s.pid]
    families = {s.name: [psutil.Process(s.pid), *psutil.Process(s.pid).children(recursive=True)] for s in statuses}
    before = {name: sum(_cpu_seconds(p) for p in family) for name, family in families.items()}
    time.sleep(IDLE_SECONDS)
    return [
        (
            name,
            sum(p.memory_full_info().pss for p in family if p.is_running()) / 2**20,
            (sum(_cpu_seconds(p) for p in family) - before[name]) / IDLE_SECONDS * 100,
        )
        for name, family in families.items()
    ]


def _cpu_seconds(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system)
