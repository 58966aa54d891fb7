"""An exchange in the test's own loop, on a clock that moves only when told to."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import pytest

from include.market.standin import StandInConfig, StandInExchange
from include.runtime.clock import ManualClock

START_MS = 1_700_000_000_000  # 20 s into a minute

Open = Callable[..., Awaitable[StandInExchange]]


@pytest.fixture
async def open_exchange() -> AsyncIterator[Open]:
    """``await open_exchange(rate=…, …)`` starts an exchange with these fields of the configuration."""
    async with AsyncExitStack() as stack:

        async def start(clock: ManualClock | None = None, **config: Any) -> StandInExchange:
            exchange = StandInExchange(StandInConfig(**config), clock or ManualClock(START_MS))
            return await stack.enter_async_context(exchange)

        yield start


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session:
        yield session


@pytest.fixture
def get(http: aiohttp.ClientSession) -> Callable[..., Awaitable[tuple[int, Any, Any]]]:
    """``await get(exchange, "time")`` → status, body, headers."""

    async def ask(exchange: StandInExchange, path: str, **headers: str) -> tuple[int, Any, Any]:
        async with http.get(f"{exchange.rest_url}/api/v3/{path}", headers=headers) as answer:
            return answer.status, json.loads(await answer.text()), answer.headers

    return ask
