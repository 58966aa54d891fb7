"""One stream connection: what it is subscribed to, what is still to be sent, and when it has to be closed."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import deque
from enum import StrEnum

from include.market.standin.config import Limits
from include.market.standin.payloads import TimeUnit, combined, frame, text_frame
from include.runtime.clock import Clock

_PING, _PONG = 0x9, 0xA


class Ending(StrEnum):
    """Why the exchange closes a connection, with the close code that the client sees."""

    PONG_MISSING = "pong_missing"
    AGE_LIMIT = "age_limit"
    MESSAGE_FLOOD = "message_flood"
    SLOW_CONSUMER = "slow_consumer"
    REQUESTED = "requested"  # over the control endpoint
    SHUTDOWN = "shutdown"

    @property
    def close_code(self) -> int:
        """WebSocket close code."""
        return 1008 if self in (Ending.MESSAGE_FLOOD, Ending.SLOW_CONSUMER, Ending.PONG_MISSING) else 1001

    @property
    def message(self) -> str:
        """WebSocket close reason."""
        words = {Ending.MESSAGE_FLOOD: "Too many requests", Ending.PONG_MISSING: "Pong timeout"}
        return words.get(self, self.value.replace("_", " "))


class Connection:
    """State of one client's connection; all output is complete frames written to its transport."""

    def __init__(
        self,
        transport: asyncio.WriteTransport,
        *,
        address: str,
        streams: list[str],
        is_combined: bool,
        unit: TimeUnit,
        clock: Clock,
        limits: Limits,
    ) -> None:
        self.transport, self.address, self.unit = transport, address, unit
        self.streams: dict[str, None] = dict.fromkeys(streams)
        self.combined = is_combined
        self.sent_bytes = self.received = 0
        self.half_frame_sent = False
        self._clock, self._limits = clock, limits
        self._opened = self._last_ping = self._last_drip = clock.monotonic()
        self._unanswered: dict[bytes, float] = {}  # ping payload → when it was sent
        self._incoming: deque[float] = deque()
        self._dripping = bytearray()

    def write(self, data: bytes, drip: bool = False) -> None:
        """Send whole frames; with ``drip`` they wait for :meth:`drip`."""
        self.sent_bytes += len(data)
        if drip or self._dripping:
            self._dripping += data
        elif not self.transport.is_closing():
            self.transport.write(data)

    def send_text(self, payload: bytes, stream: str | None = None) -> None:
        """Send one text message, wrapped for combined mode when it belongs to a stream."""
        self.write(text_frame(combined(stream, payload) if stream and self.combined else payload))

    def pong(self, payload: bytes) -> None:
        """Answer a client's ping."""
        self.write(frame(_PONG, payload))

    def drip(self, bytes_per_second: int | None) -> None:
        """Send what the rate allows of the waiting bytes; without a rate all of them."""
        now = self._clock.monotonic()
        allowed = len(self._dripping) if bytes_per_second is None else int((now - self._last_drip) * bytes_per_second)
        if allowed or not self._dripping:
            self._last_drip = now
        if self._dripping and allowed and not self.transport.is_closing():
            self.transport.write(bytes(self._dripping[:allowed]))
            del self._dripping[:allowed]

    def received_message(self) -> Ending | None:
        """Account for an incoming ping, pong or control message."""
        self.received += 1
        now = self._clock.monotonic()
        while self._incoming and self._incoming[0] <= now - 1:
            self._incoming.popleft()
        self._incoming.append(now)
        return Ending.MESSAGE_FLOOD if len(self._incoming) > self._limits.incoming_messages_per_second else None

    def received_pong(self, payload: bytes) -> None:
        """A pong answers the ping whose payload it copies, and those before; any other is unsolicited."""
        if payload in self._unanswered:
            answered = self._unanswered[payload]
            self._unanswered = {p: sent for p, sent in self._unanswered.items() if sent > answered}

    def housekeeping(self, send_pings: bool) -> Ending | None:
        """Send a ping when due; say whether the connection has to be closed."""
        now = self._clock.monotonic()
        if self._unanswered and now - min(self._unanswered.values()) > self._limits.pong_seconds:
            return Ending.PONG_MISSING
        if now - self._opened >= self._limits.connection_seconds:
            return Ending.AGE_LIMIT
        if self.transport.get_write_buffer_size() + len(self._dripping) > self._limits.unsent_bytes:
            return Ending.SLOW_CONSUMER
        if send_pings and now - self._last_ping >= self._limits.ping_seconds:
            self._last_ping = now
            payload = str(self._clock.time_ms()).encode()
            self._unanswered[payload] = now
            self.write(frame(_PING, payload))
        return None

    def cut(self) -> None:
        """End the TCP connection after what was written, without a close frame."""
        self.transport.close()

    def reset(self) -> None:
        """Reset the TCP connection."""
        reset_transport(self.transport)

    def snapshot(self) -> dict[str, object]:
        """The connection for the control endpoint."""
        return {
            "address": self.address,
            "streams": list(self.streams),
            "combined": self.combined,
            "age_seconds": round(self._clock.monotonic() - self._opened, 3),
            "sent_bytes": self.sent_bytes,
            "received_messages": self.received,
            "unanswered_pings": len(self._unanswered),
        }


def reset_transport(transport: asyncio.BaseTransport) -> None:
    """End a TCP connection with RST: linger zero, then close."""
    if (sock := transport.get_extra_info("socket")) is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    if isinstance(transport, asyncio.WriteTransport):
        transport.abort()
    else:
        transport.close()
