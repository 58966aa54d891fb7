"""The proxy as it stands in the stack, asked from where Airflow stands, with the real engine behind it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.compose.stack import Compose
from tests.support import docker_words
from tests.support.docker_words import ALLOWED, REFUSED

pytestmark = [pytest.mark.engine, pytest.mark.timeout(600)]

TARGET = "exchange"
UP = ("up", "--detach", "--wait", "--pull", "never", "--no-build", "docker-socket-proxy", TARGET)

# sent as text, as the image holds no tests
_ASK = f"""{Path(docker_words.__file__).read_text()}
import json, sys

for line in json.loads(sys.argv[2]):
    headers = {{"Content-Length": "0"}} if line[0] == "POST" else {{}}
    print(json.dumps([*line, ask(("docker-socket-proxy", 2375), tuple(line), sys.argv[1], headers)]))
"""
_REACH = "import socket; socket.create_connection(('docker-socket-proxy', 2375), 3)"


@pytest.fixture(scope="module")
def stack(compose: Compose) -> Iterator[Compose]:
    compose(*UP, timeout=300)
    yield compose
    compose(*UP, timeout=300)


def answers(stack: Compose, lines: tuple[docker_words.Line, ...]) -> list[tuple[str, str, int]]:
    """What the proxy says to each, asked from a container like the scheduler's."""
    words = ("run", "--rm", "--no-deps", "--no-TTY", "airflow-scheduler", "python", "-c", _ASK, stack.project)
    return [tuple(json.loads(line)) for line in stack(*words, json.dumps(lines), timeout=300).splitlines()]


def test_airflow_may_look_start_stop_restart_and_read_logs(stack: Compose) -> None:
    began = stack.container(TARGET)["State"]["StartedAt"]
    found = answers(stack, ALLOWED)
    assert [line for *line, status in found if status not in (200, 204, 304)] == []
    assert len(found) == len(ALLOWED)
    after = stack.container(TARGET)["State"]
    assert not after["Running"]  # the last word was stop
    assert after["StartedAt"] != began


def test_airflow_may_do_nothing_else(stack: Compose) -> None:
    stack(*UP, timeout=300)
    before = stack.container(TARGET)
    found = answers(stack, REFUSED)
    assert [(*line, status) for *line, status in found if status not in (400, 403)] == []
    assert len(found) == len(REFUSED)
    after = stack.container(TARGET)
    assert (after["Id"], after["State"]["Pid"]) == (before["Id"], before["State"]["Pid"])


def test_nobody_but_airflow_reaches_the_proxy(stack: Compose) -> None:
    stack(*UP, timeout=300)
    with pytest.raises(AssertionError, match="gaierror"):
        stack("exec", "--no-TTY", TARGET, "python", "-c", _REACH)
    stack("run", "--rm", "--no-deps", "--no-TTY", "airflow-scheduler", "python", "-c", _REACH)
