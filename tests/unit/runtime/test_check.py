"""The health check of containers: what counts as healthy, what is said when it is not, and how quick it is."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import ClassVar

import pytest

from include.runtime.check import Unhealthy, check
from include.settings import PROJECT_ROOT

HEALTH = b'{"scheduler": {"status": "healthy", "runs": 2, "late": false, "since": null}, "status": "silent"}'


class Answers(BaseHTTPRequestHandler):
    """``/health`` answers; ``/broken`` is an error; ``/text`` is no JSON; ``/slow`` sends a byte now and then."""

    bodies: ClassVar = {"/health": HEALTH, "/text": b"all is well", "/health?verbose=1": HEALTH}

    def do_GET(self) -> None:
        self.send_response(200 if self.path in {*self.bodies, "/slow"} else 503)
        self.end_headers()
        for _ in range(20 if self.path == "/slow" else 0):
            self.wfile.write(b" ")
            time.sleep(0.5)  # slower than the deadline as a whole, quicker than it at each byte
        self.wfile.write(self.bodies.get(self.path, b""))

    def log_message(self, format: str, *args: object) -> None:
        """Not of interest."""


@contextmanager
def serving() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        threading.Thread(target=server.shutdown, daemon=True).start()  # one that answers slowly is not waited for


@pytest.fixture
def base() -> Iterator[str]:
    with serving() as url:
        yield url


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "include.runtime.check", *arguments],
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )


def test_an_answer_is_enough_where_no_value_is_asked_for(base: str) -> None:
    check(f"{base}/text", {})
    check(f"{base}/health", {})


def test_the_values_at_dotted_paths_are_compared(base: str) -> None:
    check(f"{base}/health", {"scheduler.status": "healthy", "scheduler.runs": "2", "scheduler.late": "false"})
    check(f"{base}/health?verbose=1", {"scheduler.since": "null", "status": "silent"})


@pytest.mark.parametrize(
    ("path", "expected", "said"),
    [
        ("/health", {"scheduler.status": "dead"}, "expected scheduler.status=dead, received healthy"),
        ("/health", {"status": "x", "a": "y"}, "expected status=x, received silent; expected a=y, received nothing"),
        ("/health", {"scheduler.status.more": "1"}, "expected scheduler.status.more=1, received nothing"),
        ("/broken", {}, "expected status 200, received 503"),
        ("/text", {"status": "ok"}, "expected JSON, received b'all is well'"),
    ],
)
def test_what_is_not_as_expected_is_said(base: str, path: str, expected: dict[str, str], said: str) -> None:
    with pytest.raises(Unhealthy) as unhealthy:
        check(base + path, expected)
    assert str(unhealthy.value) == f"{base}{path}: {said}"


def test_nobody_listens() -> None:
    with pytest.raises(Unhealthy, match=r"expected an answer, received none: .*refused"):
        check("http://127.0.0.1:1/health", {})


def test_the_command_tells_by_its_exit_code(base: str) -> None:
    assert run(f"{base}/health", "scheduler.status=healthy").returncode == 0
    sick = run(f"{base}/health", "scheduler.status=dead")
    assert (sick.returncode, sick.stdout) == (1, "")
    assert sick.stderr == f"{base}/health: expected scheduler.status=dead, received healthy\n"


def test_an_answer_that_trickles_in_is_too_late(base: str) -> None:
    started = time.monotonic()
    slow = run(f"{base}/slow")
    assert (slow.returncode, slow.stderr) == (
        1,
        f"{base}/slow: expected an answer, received none: not within 2 seconds\n",
    )
    assert time.monotonic() - started < 4


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "A URL is needed."),
        (("localhost/health",), "URL: received 'localhost/health'"),
        (("https://a/health",), "URL: received 'https://a/health'"),
        (("http://a:port/",), "URL: received 'http://a:port/'"),
        (("http://a/", "status"), "PATH=VALUE: received 'status'"),
        (("http://a/", "=x"), "PATH=VALUE: received '=x'"),
    ],
)
def test_wrong_usage_is_explained(arguments: tuple[str, ...], said: str) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert done.stderr.startswith(said)
    assert "usage: python -m include.runtime.check URL" in done.stderr


def test_it_loads_no_settings_and_nothing_from_outside(base: str) -> None:
    code = (
        "import sys; before = set(sys.modules); import include.runtime.check;"
        "print(*{m.split('.')[0] for m in set(sys.modules) - before} - sys.stdlib_module_names)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT_ROOT, capture_output=True, text=True, timeout=20, check=True
    )
    assert done.stdout.split() == ["include"]
