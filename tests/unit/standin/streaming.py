"""A stream client for the tests of this room."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import asynccontextmanager
from typing import Any

import websockets
from websockets.asyncio.client import ClientConnection

from include.market.standin import StandInExchange


async def until(condition: Callable[[], object]) -> None:
    """Wait until the exchange has got that far."""
    async with asyncio.timeout(2):
        while not condition():
            await asyncio.sleep(0)


@asynccontextmanager
async def connect(exchange: StandInExchange, path: str):
    before = exchange.streams.accepted
    async with websockets.connect(exchange.stream_url + path, max_queue=None, ping_interval=None) as socket:
        await until(lambda: exchange.streams.accepted > before)
        yield socket


async def read(socket: ClientConnection, count: int) -> list[Any]:
    return [json.loads(await asyncio.wait_for(socket.recv(), 2)) for _ in range(count)]


async def ask(socket: ClientConnection, method: str, *params: Any, request_id: int = 1) -> Any:
    message: dict[str, Any] = {"method": method, "id": request_id}
    await socket.send(json.dumps(message | ({"params": list(params)} if params else {})))
    return (await read(socket, 1))[0]


async def closing(socket: ClientConnection) -> tuple[int | None, str | None]:
    """What the exchange says when it closes the connection."""
    async with asyncio.timeout(2):
        await socket.wait_closed()
    return socket.close_code, socket.close_reason
