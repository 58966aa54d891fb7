"""The real proxy with its real configuration; behind it a server that writes down what it is asked."""

from __future__ import annotations

import http.server
import shutil
import socket
import socketserver
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from include.services.docker_api import DockerApi
from include.services.errors import HostForbidsError
from include.services.names import SERVICES
from include.settings import PROJECT_ROOT
from tests.support.docker_words import ALLOWED, LISTING, REFUSED, Line, ask
from tests.support.waiting import wait_for

pytestmark = pytest.mark.integration

CONFIGURATION = PROJECT_ROOT / "docker" / "socket-proxy.cfg"
PROJECT = "our-pipeline"
_ANSWERS = {"version": b'{"ApiVersion": "1.45"}', "json": b"[]"}


@dataclass
class Proxy:
    """Where it listens, and what came through it."""

    port: int
    seen: list[Line] = field(default_factory=list)

    def ask(self, line: Line, headers: dict[str, str] | None = None, body: bytes = b"") -> int:
        own = {"Content-Length": "0"} if line[0] == "POST" else {}
        return ask(("127.0.0.1", self.port), line, PROJECT, own if headers is None else headers, body)


def _engine(path: Path, seen: list[Line]) -> socketserver.BaseServer:
    class Engine(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            seen.append((self.command, self.path))
            body = _ANSWERS.get(self.path.rpartition("/")[2].partition("?")[0], b"")
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_OPTIONS = answer  # noqa: N815

        def address_string(self) -> str:
            return "proxy"

        def log_message(self, *_: object) -> None:
            """Nothing: a test tells what it needs."""

    return socketserver.ThreadingUnixStreamServer(str(path), Engine)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    program = shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin:/usr/local/sbin")
    if program is None:
        pytest.skip("haproxy is not installed (Debian: apt-get install haproxy); make test-compose runs it as well")
    folder = tmp_path_factory.mktemp("proxy")
    found = Proxy(_free_port())
    text = CONFIGURATION.read_text()
    assert text.count("bind :2375") == text.count("unix@/var/run/docker.sock") == 1
    text = text.replace("bind :2375", f"bind 127.0.0.1:{found.port}")
    (folder / "own.cfg").write_text(text.replace("unix@/var/run/docker.sock", f"unix@{folder / 'docker.sock'}"))
    engine = _engine(folder / "docker.sock", found.seen)
    threading.Thread(target=engine.serve_forever, daemon=True).start()
    with (folder / "proxy.log").open("w") as log:
        command, own = [program, "-db", "-f", str(folder / "own.cfg")], {"PIPELINE_DOCKER_PROJECT": PROJECT}
        proxy = subprocess.Popen(command, env=own, stdout=log, stderr=log)
        try:
            wait_for(lambda: found.ask(("GET", "/_ping")) == 200, 10, "the proxy answers")
            yield found
        finally:
            proxy.terminate()
            proxy.wait(10)
            engine.shutdown()
            engine.server_close()


@pytest.fixture
def proxy(running: Proxy) -> Proxy:
    running.seen.clear()
    return running


@pytest.mark.parametrize("line", ALLOWED, ids=" ".join)
def test_these_reach_the_engine_as_they_were_sent(proxy: Proxy, line: Line) -> None:
    assert proxy.ask(line) == 200
    assert proxy.seen == [(line[0], line[1].replace("{project}", PROJECT))]


@pytest.mark.parametrize("line", REFUSED, ids=" ".join)
def test_these_are_refused_and_never_reach_it(proxy: Proxy, line: Line) -> None:
    assert proxy.ask(line) in (400, 403)  # what is no HTTP at all is a bad request
    assert proxy.seen == []


def test_what_the_adapter_asks_is_among_them(proxy: Proxy) -> None:
    api = DockerApi(f"http://127.0.0.1:{proxy.port}")
    assert api.containers(PROJECT) == {}
    assert proxy.seen == [("GET", "/version"), (LISTING[0], LISTING[1].replace("{project}", PROJECT))]
    with pytest.raises(HostForbidsError, match="list containers"):
        api.containers("another")


def test_all_services_are_known_to_it(proxy: Proxy) -> None:
    """A name that is missing would be told in the first incident only."""
    for name in SERVICES:
        assert proxy.ask(("GET", f"/v1.45/containers/{PROJECT}-{name}-1/json")) == 200
    assert proxy.ask(("GET", f"/v1.45/containers/{PROJECT}-airflow-triggerer-1/json")) == 403


START: Line = ("POST", "/v1.45/containers/{project}-exchange-1/start")


def test_a_body_is_refused(proxy: Proxy) -> None:
    """Old engines took another configuration of the container in it."""
    assert proxy.ask(START, {"Content-Length": "2"}, b"{}") == 403
    assert proxy.ask(START, {"Transfer-Encoding": "chunked"}, b"0\r\n\r\n") == 403
    assert proxy.seen == []


def test_a_connection_does_not_become_another_protocol(proxy: Proxy) -> None:
    headers = {"Content-Length": "0", "Connection": "Upgrade", "Upgrade": "tcp"}
    assert proxy.ask(START, headers) == 403
    assert proxy.seen == []


def test_a_second_request_on_a_connection_is_judged_as_well(proxy: Proxy) -> None:
    requests = [
        ["GET /_ping HTTP/1.1", "Host: docker"],
        [
            f"POST /v1.45/containers/{PROJECT}-exchange-1/kill HTTP/1.1",
            "Host: docker",
            "Content-Length: 0",
            "Connection: close",
        ],
    ]
    lines = "".join(f"{line}\r\n" for request in requests for line in [*request, ""])
    with socket.create_connection(("127.0.0.1", proxy.port), 10) as connection:
        connection.sendall(lines.encode())
        answer = b""
        while part := connection.recv(65536):
            answer += part
    assert answer.count(b"HTTP/1.1 200") == 1
    assert answer.count(b"HTTP/1.1 403") == 1
    assert proxy.seen == [("GET", "/_ping")]
