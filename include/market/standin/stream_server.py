"""The WebSocket side: handshakes, control messages, pings and deadlines, and the delivery of each tick's events."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Iterable

from aiohttp import WSMsgType, web

from include.market.standin.broadcast import Batch, TradeBroadcast
from include.market.standin.connection import Connection, Ending
from include.market.standin.context import Context
from include.market.standin.control_messages import answer
from include.market.standin.faults import Faults
from include.market.standin.limits import Admission
from include.market.standin.payloads import TimeUnit
from include.market.standin.stream_views import ViewBroadcast
from include.runtime.logging import get_logger

_LOG = get_logger("exchange")
_UNITS = {"": TimeUnit.MILLISECOND, "MILLISECOND": TimeUnit.MILLISECOND, "MICROSECOND": TimeUnit.MICROSECOND}
_LONGEST_MESSAGE = 64 * 1024


class StreamServer:
    """All stream connections of the exchange."""

    def __init__(self, context: Context, views: ViewBroadcast) -> None:
        self._clock, self._limits = context.clock, context.limits
        self._accounting, self._faults = context.accounting, context.faults
        self._trades = [TradeBroadcast(context.ledger, s, context.seed) for s in context.ledger.symbols]
        self._views = views
        self._connections: dict[Connection, web.WebSocketResponse] = {}
        self._closing: set[asyncio.Task[bool]] = set()
        self.endings: Counter[str] = Counter()
        self._muted: frozenset[Connection] | None = None  # None while no such fault is on
        self.accepted = 0

    @property
    def connections(self) -> tuple[Connection, ...]:
        """Open connections."""
        return tuple(self._connections)

    @property
    def caught_up(self) -> bool:
        """Whether all trades that have happened were delivered (or dropped by a fault)."""
        return all(broadcast.caught_up for broadcast in self._trades)

    def routes(self) -> list[web.RouteDef]:
        """Routes of the public port."""
        return [
            web.get("/ws", self._raw),
            web.get("/ws/{streams:.*}", self._raw),
            web.get("/stream", self._combined),
        ]

    def tick(self) -> None:
        """Deliver what happened since the last tick; send pings; enforce deadlines."""
        faults = self._faults.current
        wanted = {name for connection in self._connections for name in connection.streams}
        batches = [b for source in self._trades for b in source.batches(wanted.__contains__, faults)]
        batches += self._views.batches(wanted, faults)
        muted = self._muted_connections(faults)
        for connection in self.connections:
            if batches and connection not in muted:
                _deliver(connection, batches, faults)
            connection.drip(faults.drip_bytes_per_second)
            if ending := connection.housekeeping(send_pings=not faults.no_pings):
                self.close(connection, ending)

    def _muted_connections(self, faults: Faults) -> frozenset[Connection]:
        if not faults.silent_open:
            self._muted = None
        elif self._muted is None:
            self._muted = frozenset(self._connections)
        return frozenset(self._connections) if faults.silent else self._muted or frozenset()

    def announce_shutdown(self) -> int:
        """Send ``serverShutdown`` to every connection; returns how many."""
        payload = b'{"e":"serverShutdown","E":%d}'
        for connection in self._connections:
            now = self._clock.time_ms() * TimeUnit.MILLISECOND // connection.unit
            connection.send_text(payload % now, "!serverShutdown")
        return len(self._connections)

    def inject(self, payload: bytes, stream: str) -> int:
        """Send any bytes as a text message to the subscribers of a stream; returns how many."""
        receivers = [connection for connection in self._connections if stream in connection.streams]
        for connection in receivers:
            connection.send_text(payload, stream)
        return len(receivers)

    def close(self, connection: Connection, ending: Ending) -> None:
        """Close a connection with the WebSocket closing handshake."""
        socket = self._connections.pop(connection, None)
        if socket is None:
            return
        self.endings[ending.value] += 1
        if ending is Ending.MESSAGE_FLOOD:
            self._accounting.flood(connection.address)
        if ending is Ending.SLOW_CONSUMER:
            connection.reset()  # a close frame would wait behind the bytes that are not read
            return
        _LOG.info("stream connection closed", reason=ending.value, address=connection.address)
        task = asyncio.ensure_future(socket.close(code=ending.close_code, message=ending.message.encode()))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    def reset_all(self) -> int:
        """Reset every connection; returns how many."""
        connections = self.connections
        for connection in connections:
            connection.reset()
        return len(connections)

    def close_all(self, ending: Ending) -> int:
        """Close every connection; returns how many."""
        connections = self.connections
        for connection in connections:
            self.close(connection, ending)
        return len(connections)

    async def _raw(self, request: web.Request) -> web.StreamResponse:
        return await self._serve(request, request.match_info.get("streams", ""), is_combined=False)

    async def _combined(self, request: web.Request) -> web.StreamResponse:
        return await self._serve(request, request.query.get("streams", ""), is_combined=True)

    async def _serve(self, request: web.Request, path: str, is_combined: bool) -> web.StreamResponse:
        address = request.remote or "unknown"
        streams = [name for name in path.split("/") if name]
        unit = _UNITS.get(request.query.get("timeUnit", "").upper())
        if refusal := self._refusal(address, streams, unit):
            return refusal
        socket = web.WebSocketResponse(autoping=False, compress=False, max_msg_size=_LONGEST_MESSAGE, timeout=1.0)
        await socket.prepare(request)
        transport = request.transport
        if transport is None or unit is None:
            return socket
        connection = Connection(
            transport,
            address=address,
            streams=streams,
            is_combined=is_combined,
            unit=unit,
            clock=self._clock,
            limits=self._limits,
        )
        self._connections[connection] = socket
        self.accepted += 1
        try:
            await self._read(connection, socket)
        finally:
            self._connections.pop(connection, None)
            connection.cut()  # the server ends the TCP connection, as RFC 6455 §7.1.1 asks
        return socket

    def _refusal(self, address: str, streams: list[str], unit: TimeUnit | None) -> web.Response | None:
        decision = self._accounting.connection(address)
        headers = {"Retry-After": str(decision.retry_after_seconds)}
        if decision.admission is Admission.BANNED:
            return _error(
                418, -1003, f"Way too much request weight used; IP banned until {decision.until_ms}.", headers
            )
        if decision.admission is Admission.OVER_ATTEMPTS:
            limit = self._limits.connection_attempts
            return _error(429, -1034, f"Too many connection attempts from IP; current limit is {limit}", headers)
        if (status := self._faults.current.stream_status) is not None:
            return _error(status, -1000, "An unknown error occurred while processing the request.")
        if unit is None:
            return _error(400, -1194, "Invalid value for time unit; expected either MICROSECOND or MILLISECOND.")
        if len(set(streams)) > self._limits.streams_per_connection:
            limit = self._limits.streams_per_connection
            return _error(400, -1101, f"Too many streams; a connection can listen to a maximum of {limit} streams")
        return None

    async def _read(self, connection: Connection, socket: web.WebSocketResponse) -> None:
        async for message in socket:
            if message.type not in (WSMsgType.TEXT, WSMsgType.PING, WSMsgType.PONG, WSMsgType.BINARY):
                return
            if ending := connection.received_message():
                self.close(connection, ending)
            elif message.type is WSMsgType.PONG:
                connection.received_pong(bytes(message.data))
            elif message.type is WSMsgType.PING:
                connection.pong(bytes(message.data))
            else:
                text = message.data if isinstance(message.data, str) else bytes(message.data).decode("utf-8", "replace")
                reply = answer(text, connection, self._limits.streams_per_connection)
                connection.send_text(json.dumps(reply, separators=(",", ":")).encode())


def _deliver(connection: Connection, batches: Iterable[Batch], faults: Faults) -> None:
    data = b"".join(b.frames(connection.combined, connection.unit) for b in batches if b.stream in connection.streams)
    if not data:
        return
    if faults.half_frame:
        if not connection.half_frame_sent:
            connection.half_frame_sent = True
            first = next(b for b in batches if b.stream in connection.streams)
            connection.write(data[: len(first.payloads(connection.unit)[0]) // 2])
            connection.cut()
        return
    connection.write(data, drip=faults.drip_bytes_per_second is not None)


def _error(status: int, code: int, message: str, headers: dict[str, str] | None = None) -> web.Response:
    return web.json_response({"code": code, "msg": message}, status=status, headers=headers)
