"""XML-RPC to supervisord over its private unix socket, with a deadline on every call."""

from __future__ import annotations

import http.client
import socket
import xmlrpc.client
from pathlib import Path
from typing import Any

from supervisor.xmlrpc import Faults, SupervisorTransport, UnixStreamHTTPConnection

from include.services.errors import HostUnreachableError

CALL_SECONDS = 2.0


class _Connection(UnixStreamHTTPConnection):  # type: ignore[misc]
    """Supervisor's connection waits for ever; this one does not."""

    def __init__(self, path: Path, seconds: float) -> None:
        super().__init__("localhost")
        self._path, self._seconds = path, seconds

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self._seconds)
        self.sock.connect(str(self._path))


class SupervisordRpc:
    """Calls ``supervisor.<method>`` of one supervisord; a connection a call, so that threads do not share one."""

    def __init__(self, socket_path: Path, seconds: float = CALL_SECONDS) -> None:
        self._socket_path, self._seconds = socket_path, seconds

    def call(self, method: str, *arguments: Any) -> Any:
        """The result. Raises ``xmlrpc.client.Fault`` (see ``supervisor.xmlrpc.Faults``), ``HostUnreachableError``."""
        transport = SupervisorTransport(serverurl=f"unix://{self._socket_path}")
        transport._get_connection = lambda: _Connection(self._socket_path, self._seconds)
        try:
            with xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport) as proxy:
                return getattr(proxy.supervisor, method)(*arguments)
        except xmlrpc.client.Fault as fault:
            if fault.faultCode == Faults.SHUTDOWN_STATE:
                raise HostUnreachableError(str(self._socket_path), "it is shutting down") from fault
            raise
        except (OSError, http.client.HTTPException, xmlrpc.client.ProtocolError) as error:
            raise HostUnreachableError(str(self._socket_path), str(error) or type(error).__name__) from error
