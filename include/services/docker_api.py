"""The few questions and orders to a Docker engine that the adapter needs, and what its refusals mean.

Nothing else is asked: the proxy that stands before the engine lets through no more than ``ALLOW``. A client a call, so
that threads do not share one.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import requests
from docker.errors import APIError, DockerException

from docker import APIClient
from include.services.errors import HostForbidsError, HostRefusesError, HostUnreachableError

T = TypeVar("T")
Record = dict[str, Any]

ALLOW = "GET version, containers/json, of each service's container …/json, …/logs, and POST …/start, …/stop"
CALL_SECONDS = 2
START_SECONDS = 20  # mounts and networks are made first
STOP_MARGIN_SECONDS = 12  # the engine waits ten seconds for what it has killed

_PROJECT, _SERVICE = "com.docker.compose.project", "com.docker.compose.service"
_NUMBER, _ONE_OFF = "com.docker.compose.container-number", "com.docker.compose.oneoff"


class DockerApi:
    """Raises ``HostUnreachableError``, ``HostForbidsError`` (403) and ``HostRefusesError`` (the engine's own words)."""

    def __init__(self, url: str, seconds: int = CALL_SECONDS) -> None:
        self.url, self._seconds = url, seconds
        self._version: str | None = None
        self._negotiating = threading.Lock()

    def containers(self, project: str) -> dict[str, str]:
        """By name of the service that of its container: the first replica, no one-off runs."""
        with self._client("list containers", self._seconds) as client:
            found = client.containers(all=True, filters={"label": [f"{_PROJECT}={project}", _SERVICE]})
        lasting = [each for each in found if each["Labels"].get(_ONE_OFF) != "True"]
        lasting.sort(key=lambda each: int(each["Labels"].get(_NUMBER, 1)), reverse=True)  # the lowest wins
        return {each["Labels"][_SERVICE]: _name(each) for each in lasting}

    def inspect(self, container: str) -> Record | None:
        """All about a container; ``None`` if it is not there any more."""
        with self._client("inspect a container", self._seconds) as client:
            return _or_none(lambda: dict(client.inspect_container(container)))

    def start(self, container: str) -> None:
        """Start it; nothing happens if it runs."""
        with self._client("start a container", START_SECONDS) as client:
            client.start(container)

    def stop(self, container: str, patience: float) -> None:
        """SIGTERM, after ``patience`` seconds (rounded up) SIGKILL; nothing happens if it does not run."""
        with self._client("stop a container", STOP_MARGIN_SECONDS) as client:
            client.stop(container, timeout=math.ceil(patience))

    def logs(self, container: str, lines: int, since: float | None = None, *, moments: bool = False) -> str | None:
        """The newest ``lines`` lines of both of its streams, oldest first; ``None`` if it is not there any more.

        ``since``: seconds since the epoch; ``moments``: each line begins with its own.
        """
        options = {"stdout": True, "stderr": True, "timestamps": moments, "tail": lines, "since": since}
        with self._client("read logs", self._seconds) as client:
            data = _or_none(lambda: bytes(client.logs(container, **options)))
        return None if data is None else data.decode("utf-8", "replace")

    @contextmanager
    def _client(self, asked: str, seconds: int) -> Iterator[Any]:
        try:
            client = self._connect(seconds)
            try:
                yield client
            finally:
                client.close()
        except APIError as error:
            raise self._meaning(asked, error) from error
        except DockerException as error:  # it is also what a failed negotiation is wrapped in
            if isinstance(error.__cause__, APIError):
                raise self._meaning("tell its version", error.__cause__) from error
            raise HostUnreachableError(self.url, _first(error)) from error
        except (requests.RequestException, OSError) as error:
            raise HostUnreachableError(self.url, _first(error)) from error

    def _connect(self, seconds: int) -> APIClient:
        """The engine is asked once which version of the protocol it speaks."""
        if self._version is None:
            with self._negotiating:
                if self._version is None:
                    first = APIClient(base_url=self.url, timeout=self._seconds)
                    self._version = first.api_version
                    first.close()
        client = APIClient(base_url=self.url, version=self._version, timeout=seconds)
        client.trust_env = False  # a web proxy of this machine has no business here
        return client

    def _meaning(self, asked: str, error: APIError) -> Exception:
        status = None if error.response is None else error.response.status_code
        words = str(error.explanation or error)
        if status in (401, 403):
            return HostForbidsError(self.url, asked, f"{ALLOW} at the proxy before Docker's API (it says: {words})")
        if status in (502, 503, 504):  # the proxy lives, the engine behind it does not
            return HostUnreachableError(self.url, f"HTTP {status}: {words}")
        return HostRefusesError(self.url, asked, words)


def _name(container: Record) -> str:
    """Its own; a name with a second slash is another container's word for it."""
    return next((str(name)[1:] for name in container["Names"] or () if name.count("/") == 1), str(container["Id"]))


def _or_none(ask: Callable[[], T]) -> T | None:
    try:
        return ask()
    except APIError as error:
        if error.response is not None and error.response.status_code == 404:
            return None
        raise


def _first(error: Exception) -> str:
    """The first line: what lies beneath repeats it."""
    return (str(error) or type(error).__name__).splitlines()[0]
