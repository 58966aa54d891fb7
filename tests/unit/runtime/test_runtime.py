"""The pieces every long-running process shares."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import requests
from prometheus_client import CollectorRegistry, Counter

from include.runtime.clock import ManualClock
from include.runtime.errors import AlreadyRunningError
from include.runtime.health_endpoint import HealthEndpoint
from include.runtime.single_instance import hold_single_instance

_HOLD = (
    "import sys, pathlib; from include.runtime.single_instance import hold_single_instance as hold;"
    "hold('job', pathlib.Path(sys.argv[1])); print('held', flush=True); sys.stdin.read()"
)


def test_a_second_copy_is_refused_and_names_the_first_until_that_dies(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(tmp_path)], stdout=subprocess.PIPE, stdin=subprocess.PIPE
    ) as first:
        assert first.stdout is not None
        first.stdout.readline()
        with pytest.raises(AlreadyRunningError, match=f"job is already running .pid {first.pid}."):
            hold_single_instance("job", tmp_path)
        first.kill()
        first.wait()
        hold_single_instance("job", tmp_path)


def test_health_and_metrics_are_served_and_nothing_else() -> None:
    registry = CollectorRegistry()
    Counter("frames_total", "Frames", registry=registry).inc(3)
    endpoint = HealthEndpoint(0, lambda: {"service": "job", "status": "live"}, registry).start()
    try:
        base = f"http://127.0.0.1:{endpoint.port}"
        assert requests.get(f"{base}/health", timeout=2).json() == {"service": "job", "status": "live"}
        assert "frames_total 3.0" in requests.get(f"{base}/metrics", timeout=2).text
        assert requests.get(f"{base}/../etc/passwd", timeout=2).status_code == 404
    finally:
        endpoint.close()


def test_a_port_in_use_is_an_error_at_once() -> None:
    first = HealthEndpoint(0, dict, CollectorRegistry())
    with pytest.raises(OSError, match="in use"):
        HealthEndpoint(first.port, dict, CollectorRegistry())


def test_the_manual_clock_moves_only_when_told() -> None:
    clock = ManualClock(1_000)
    clock.advance(1.5)
    assert (clock.monotonic(), clock.time_ms()) == (1.5, 2_500)
