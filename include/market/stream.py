"""One WebSocket connection to the exchange's combined trade streams.

The streams are named in the URL, so that no control message is ever sent (the exchange allows 5 incoming messages a
second, pings included). Reconnecting, rotating and judging silence is the business of whoever owns the connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from include.market.endpoints import is_loopback
from include.market.errors import EndpointError, RateLimitedError, StreamClosedError

MOST_STREAMS = 1024  # per connection, set by the exchange
_LARGEST_FRAME = 256 * 1024  # a trade has some 200 bytes
_OPEN_TIMEOUT, _CLOSE_TIMEOUT = 5.0, 1.0
_PING_EVERY, _PONG_WITHIN = 10.0, 5.0
_LIMITED = {429: 60.0, 418: 120.0, 403: 30.0}  # seconds to wait when the answer does not say


def trade_stream_url(base: str, symbols: Iterable[str]) -> str:
    """URL of the combined ``<symbol>@trade`` streams. Raises ``ValueError`` above the exchange's limit of streams."""
    names = [f"{symbol.lower()}@trade" for symbol in symbols]
    if not 1 <= len(names) <= MOST_STREAMS:
        raise ValueError(f"a connection carries 1 to {MOST_STREAMS} streams, not {len(names)}")
    return f"{base}/stream?streams={'/'.join(names)}"


class StreamConnection:
    """An open connection. Frames are handed out as the bytes that arrived."""

    def __init__(self, endpoint_url: str, socket: ClientConnection) -> None:
        self.endpoint_url = endpoint_url
        self._socket = socket

    @classmethod
    async def open(cls, endpoint_url: str, symbols: Iterable[str]) -> StreamConnection:
        """Connect, subscribed to the trades of ``symbols``.

        Raises :class:`EndpointError` when the endpoint does not take the connection, :class:`RateLimitedError` on
        429, 418 and 403.
        """
        url = trade_stream_url(endpoint_url, symbols)
        try:
            socket = await connect(
                url,
                compression=None,  # it costs more time than it saves for frames of 200 bytes
                proxy=None if is_loopback(endpoint_url) else True,
                open_timeout=_OPEN_TIMEOUT,
                close_timeout=_CLOSE_TIMEOUT,
                ping_interval=_PING_EVERY,
                ping_timeout=_PONG_WITHIN,
                max_size=_LARGEST_FRAME,
                max_queue=1024,
            )
        except InvalidStatus as error:
            raise _refused(endpoint_url, error) from error
        except (OSError, WebSocketException, TimeoutError, EOFError) as error:
            raise EndpointError(endpoint_url, f"{type(error).__name__}: {error}"[:200]) from error
        return cls(endpoint_url, socket)

    async def receive(self) -> bytes:
        """The next frame. Raises :class:`StreamClosedError` at the end of the connection."""
        try:
            return await self._socket.recv(decode=False)
        except ConnectionClosed as closed:
            raise StreamClosedError(str(closed)) from closed

    async def close(self) -> None:
        """Close; does not wait for a peer that no longer answers."""
        try:
            async with asyncio.timeout(_CLOSE_TIMEOUT * 2):
                await self._socket.close()
        except TimeoutError:
            self._socket.transport.abort()


def _refused(endpoint_url: str, error: InvalidStatus) -> EndpointError | RateLimitedError:
    status = error.response.status_code
    if status not in _LIMITED:
        return EndpointError(endpoint_url, f"HTTP {status} instead of a WebSocket")
    header = error.response.headers.get("Retry-After", "")
    wait = float(header) if header.isdecimal() else _LIMITED[status]
    return RateLimitedError(f"the stream endpoint answered HTTP {status}", wait, status)
