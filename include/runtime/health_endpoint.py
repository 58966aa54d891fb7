"""``GET /health`` (JSON) and ``GET /metrics`` (Prometheus text) on one address, served from a thread of their own.

A thread, not the process's event loop: the answer must come while the process itself is stuck.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

Snapshot = Callable[[], Mapping[str, Any]]


class HealthEndpoint:
    """Serves ``snapshot()`` at ``/health`` and ``registry`` at ``/metrics``.

    ``snapshot`` is called from the serving thread, must not block, and returns JSON-serialisable data with at least
    ``service``, ``status``, ``pid`` and ``started_at`` (ISO 8601, UTC). The port is bound on construction
    (``OSError`` if taken; 0 picks a free one).
    """

    def __init__(self, port: int, snapshot: Snapshot, registry: CollectorRegistry, host: str = "127.0.0.1") -> None:
        handler = type("Handler", (_Handler,), {"snapshot": staticmethod(snapshot), "registry": registry})
        self._server = ThreadingHTTPServer((host, port), handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.2,), name="health", daemon=True)

    @property
    def port(self) -> int:
        """The bound port."""
        return int(self._server.server_address[1])

    def start(self) -> HealthEndpoint:
        """Start serving."""
        self._thread.start()
        return self

    def close(self) -> None:
        """Stop serving and free the port."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=2)


class _Handler(BaseHTTPRequestHandler):
    snapshot: Snapshot
    registry: CollectorRegistry

    def do_GET(self) -> None:
        if self.path == "/health":
            self._answer(200, "application/json", json.dumps(self.snapshot()).encode())
        elif self.path == "/metrics":
            self._answer(200, CONTENT_TYPE_LATEST, generate_latest(self.registry))
        else:
            self._answer(404, "application/json", b'{"error":"not found; there are /health and /metrics"}')

    def _answer(self, status: int, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Requests are not logged: a probe a second would drown the log."""
