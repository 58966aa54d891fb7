"""Ports that are taken are found before anything starts, and their holder is named."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from contextlib import ExitStack

import psutil

from include.settings import PREFIX
from include.stack.errors import PortInUseError
from include.stack.processes import Process


def check_ports(processes: Iterable[Process]) -> None:
    """Raise :class:`PortInUseError` naming every port that cannot be used, its setting, and who holds it."""
    lines, claimed = [], dict[int, str]()
    for process in processes:
        for setting, port in process.ports:
            name = PREFIX + setting.upper()
            if port in claimed:
                lines.append(f"  {port} ({name}, for {process.name}) is also {claimed[port]}")
            elif problem := _problem(port):
                lines.append(f"  {port} ({name}, for {process.name}) {problem}")
            claimed[port] = name
    if lines:
        raise PortInUseError(
            "These ports cannot be used:\n"
            + "\n".join(lines)
            + "\nStop the holder, or choose another port by the setting."
        )


def _problem(port: int) -> str:
    error = bind_error(port)
    if isinstance(error, PermissionError):
        return "needs privileges that you do not have"
    return f"is held by {_holder(port)}" if error else ""


def bind_error(port: int) -> OSError | None:
    """Why nobody can listen on a port of loopback now; ``None`` if it is free."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a closed connection in TIME_WAIT is no holder
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            return error
        return None


def _holder(port: int) -> str:
    return holders([port])[port] or "a process of another user"


def holders(ports: Iterable[int]) -> dict[int, str]:
    """Who listens at each port: name, pid and command line; empty where nobody does. One look at the machine."""
    found = dict.fromkeys(ports, "")
    for connection in psutil.net_connections("tcp"):
        port = connection.laddr.port if connection.laddr and connection.status == psutil.CONN_LISTEN else None
        if port in found and not found[port]:
            found[port] = _name(connection.pid)
    return found


def _name(pid: int | None) -> str:
    if not pid:
        return "a process of another user"
    try:
        process = psutil.Process(pid)
        return f"{process.name()} (pid {process.pid}): {' '.join(process.cmdline())[:120]}"
    except psutil.Error:
        return f"pid {pid}"


def free_ports(count: int) -> list[int]:
    """``count`` distinct loopback ports that were free a moment ago."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]
