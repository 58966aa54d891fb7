"""A Docker engine: a stand-in that runs real programs behind the few endpoints that the adapter uses, and a real one.

The stand-in keeps to what was seen of engine 26.1: a container ends as a whole when its first process does, an end by
a signal is 128 and its number, logs are frames of stdout and stderr, and a second start answers 304.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingMixIn, UnixStreamServer
from typing import IO, Any
from urllib.parse import parse_qs, urlsplit

from include.services.processes import kill_group

NEVER = "0001-01-01T00:00:00Z"
PROJECT = "stand-in"


@dataclass
class Container:
    """One container; ``start_error``: what its start is refused with."""

    id: str
    service: str
    argv: list[str]
    labels: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    started_at: str = NEVER
    finished_at: str = NEVER
    exit_code: int = 0
    error: str = ""
    out_of_memory: bool = False
    paused: bool = False
    restarting: bool = False
    start_error: str = ""
    log: list[tuple[str, int, bytes]] = field(default_factory=list)  # moment, stream, line
    lock: threading.RLock = field(default_factory=threading.RLock)
    ended: threading.Event = field(default_factory=threading.Event)

    @property
    def name(self) -> str:
        """As compose gives it."""
        parts = ("project", "service", "container-number")
        return "-".join(self.labels[f"com.docker.compose.{part}"] for part in parts)

    @property
    def running(self) -> bool:
        return self.process is not None and not self.ended.is_set()

    @property
    def status(self) -> str:
        if self.restarting:
            return "restarting"
        if self.running:
            return "paused" if self.paused else "running"
        return "created" if self.started_at == NEVER else "exited"

    def inspect(self) -> dict[str, Any]:
        with self.lock:
            state = {
                "Status": self.status,
                "Running": self.running or self.restarting,
                "Paused": self.paused,
                "Restarting": self.restarting,
                "OOMKilled": self.out_of_memory,
                "Dead": False,
                "Pid": self.process.pid if self.process and self.running else 0,
                "ExitCode": 0 if self.running else self.exit_code,
                "Error": self.error,
                "StartedAt": self.started_at,
                "FinishedAt": self.finished_at,
            }
            return {
                "Id": self.id,
                "Name": f"/{self.name}",
                "State": state,
                "Config": {"Tty": False, "Labels": self.labels},
            }

    def start(self) -> int:
        with self.lock:
            if self.running:
                return 304
            self.error, self.exit_code = self.start_error, 128 if self.start_error else 0
            if self.start_error:
                return 500
            self.ended = threading.Event()
            self.process = subprocess.Popen(
                # whoever runs the tests in the background ignores SIGINT, and a child would inherit that
                ["/usr/bin/env", "--default-signal=INT", *self.argv],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
            self.started_at = now()
        threading.Thread(target=self._collect, args=(self.process, self.ended), daemon=True).start()
        return 204

    def stop(self, patience: float) -> int:
        if not self.running or self.process is None:
            return 304
        self.process.send_signal(signal.SIGTERM)
        if not self.ended.wait(patience):
            self.process.kill()
            self.ended.wait(10)
        return 204

    def _collect(self, process: subprocess.Popen[bytes], ended: threading.Event) -> None:
        assert process.stdout is not None
        assert process.stderr is not None
        streams = ((1, process.stdout), (2, process.stderr))
        readers = [threading.Thread(target=self._read, args=each, daemon=True) for each in streams]
        for reader in readers:
            reader.start()
        code = process.wait()
        kill_group(process.pid)
        for reader in readers:
            reader.join(5)
        for _, stream in streams:
            stream.close()
        with self.lock:
            self.exit_code, self.finished_at = 128 - code if code < 0 else code, now()
            ended.set()

    def _read(self, number: int, stream: IO[bytes]) -> None:
        for line in stream:
            with self.lock:
                self.log.append((now(), number, line))

    def frames(self, query: dict[str, str]) -> bytes:
        with self.lock:
            log = self.log[-int(query["tail"]) :] if query.get("tail", "all") != "all" else list(self.log)
        if "tail" in query and query["tail"] == "0":
            log = []
        since = float(query.get("since", 0))
        stamped = query.get("timestamps") in ("1", "True", "true")
        parts = []
        for moment, number, line in log:
            if datetime.fromisoformat(moment).timestamp() >= since:
                data = f"{moment} ".encode() + line if stamped else line
                parts.append(struct.pack(">BxxxL", number, len(data)) + data)
        return b"".join(parts)


def now() -> str:
    """As the engine writes it, to the nanosecond."""
    nanoseconds = time.time_ns()
    moment = datetime.fromtimestamp(nanoseconds // 1_000_000_000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{nanoseconds % 1_000_000_000:09}Z"


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer("GET")

    def do_POST(self) -> None:
        self._answer("POST")

    def log_message(self, *_: Any) -> None:
        """Silent."""

    def address_string(self) -> str:
        return "local"

    def _answer(self, method: str) -> None:
        parts = urlsplit(self.path)
        path = [part for part in parts.path.split("/") if part and not part.startswith("v1.")]
        verb = "version" if path == ["version"] else "list" if path == ["containers", "json"] else path[-1]
        self.server.engine.asked.append(verb)
        if verb in self.server.engine.forbidden:
            return self._send(403, b"<html>Forbidden</html>", "text/html")
        query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        status, content = self.server.engine.answer(method, path, query)
        if isinstance(content, bytes):
            return self._send(status, content, "application/vnd.docker.multiplexed-stream")
        return self._send(status, b"" if content is None else json.dumps(content).encode(), "application/json")

    def _send(self, status: int, body: bytes, kind: str) -> None:
        with contextlib.suppress(BrokenPipeError):
            self.send_response(status)
            self.send_header("Content-Type", kind)
            if status not in (204, 304):
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(b"" if status in (204, 304) else body)


class _Server(ThreadingMixIn, UnixStreamServer):
    daemon_threads = True
    engine: StandInEngine


class StandInEngine:
    """``forbidden``: what a proxy before it refuses (version, list, json, start, stop, logs). ``asked``: so far."""

    def __init__(self, programs: Mapping[str, list[str]], folder: Path) -> None:
        self.socket = folder / "engine.sock"
        self.containers = {
            f"{number:064x}": Container(f"{number:064x}", name, argv, labels_of(PROJECT, name))
            for number, (name, argv) in enumerate(programs.items(), start=1)
        }
        self.forbidden: set[str] = set()
        self.asked: list[str] = []
        self._server: _Server | None = None
        self.come_back()

    @property
    def url(self) -> str:
        return f"unix://{self.socket}"

    def of(self, service: str) -> Container:
        """The container of a service."""
        return next(each for each in self.containers.values() if each.service == service)

    def add(self, container: Container) -> None:
        """One more."""
        self.containers[container.id] = container

    def go_away(self) -> None:
        """Containers live on."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None
            self.socket.unlink()

    def come_back(self) -> None:
        """Answer (again)."""
        self._server = _Server(str(self.socket), _Handler)
        self._server.engine = self
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        """Kill whatever still runs."""
        self.go_away()
        for container in self.containers.values():
            if container.process is not None:
                container.process.kill()
                container.ended.wait(10)

    def answer(self, method: str, path: list[str], query: dict[str, str]) -> tuple[int, Any]:
        """Status, and what is in the body."""
        match (method, *path):
            case ("GET", "version"):
                return 200, {"ApiVersion": "1.45"}
            case ("GET", "containers", "json"):
                wanted = json.loads(query["filters"])["label"]
                return 200, [_listed(each) for each in self.containers.values() if _fits(each.labels, wanted)]
            case ("GET" | "POST", "containers", container, verb):
                found = next((each for each in self.containers.values() if each.name == container), None)
                if found is None:
                    return 404, {"message": f"No such container: {container}"}
                return self._of(found, method, verb, query)
        return 404, {"message": "page not found"}

    def _of(self, container: Container, method: str, verb: str, query: dict[str, str]) -> tuple[int, Any]:
        match method, verb:
            case "GET", "json":
                return 200, container.inspect()
            case "GET", "logs":
                return 200, container.frames(query)
            case "POST", "start":
                status = container.start()
                return status, {"message": container.error} if status == 500 else None
            case "POST", "stop":
                return container.stop(float(query["t"])), None
        return 404, {"message": "page not found"}


def labels_of(project: str, service: str, number: int = 1, one_off: bool = False) -> dict[str, str]:
    """As compose sets them."""
    names = {"project": project, "service": service, "container-number": str(number), "oneoff": str(one_off)}
    return {f"com.docker.compose.{name}": value for name, value in names.items()}


def _listed(container: Container) -> dict[str, Any]:
    return {
        "Id": container.id,
        "Names": [f"/linked/{container.service}", f"/{container.name}"],
        "Labels": container.labels,
        "State": container.status,
    }


def _fits(labels: dict[str, str], wanted: list[str]) -> bool:
    return all(labels.get(name) == value if equals else name in labels for name, equals, value in map(_parted, wanted))


def _parted(text: str) -> tuple[str, str, str]:
    return text.partition("=")


# --- A real engine ---------------------------------------------------------------------------------------------------
IMAGE = "pipeline-tests-empty:1"
_HOST_FOLDERS = ("/usr", "/lib", "/lib64", "/bin", "/etc")  # without /sbin, where the engine puts its init


@contextlib.contextmanager
def real_containers(programs: Mapping[str, list[str]], folder: Path, project: str) -> Iterator[str]:
    """A container for each program, in an image of nothing with this machine's folders in it; gives the API's URL.

    The URL leads over ``folder/engine.sock``: without that link the engine is away.
    """
    import docker

    base = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
    client, link = docker.APIClient(base), folder / "engine.sock"
    link.symlink_to(base.removeprefix("unix://"))
    make_image(client)
    folders = {*(each for each in _HOST_FOLDERS if Path(each).exists()), sys.prefix, sys.base_prefix, str(folder)}
    binds = [f"{each}:{each}:ro" for each in sorted(folders)]
    made: list[str] = []
    try:
        for name, argv in programs.items():
            options = client.create_host_config(binds=binds, network_mode="none", init=True)
            labels = labels_of(project, name)
            made.append(client.create_container(IMAGE, argv, labels=labels, host_config=options)["Id"])
        yield f"unix://{link}"
    finally:
        for container in made:
            client.remove_container(container, force=True)
        client.close()


def make_image(client: Any) -> None:
    """An image without a file."""
    empty = b"\0" * 10_240  # a tar archive of nothing
    if not client.images(name=IMAGE):
        name, _, tag = IMAGE.partition(":")
        client.import_image_from_data(empty, repository=name, tag=tag)
