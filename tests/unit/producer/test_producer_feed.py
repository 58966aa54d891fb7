"""One connection after the other, against a socket server that the test plays."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve

from include.market.backoff import Backoff
from include.market.endpoints import stream_ladder
from include.market.weight import RetryAfterGate
from include.producer.errors import LastError
from include.producer.feed import Feed, Trust
from include.producer.flood import FloodDetector
from include.producer.frame_path import FrameKind, FramePath
from include.producer.reconnect_requests import Answer
from include.producer.sequencer import Sequencer
from include.producer.tracks import Track, Tracks
from include.producer.validation import TradeCheck
from include.runtime.clock import SystemClock
from tests.support.fake_publisher import FakePublisher

Play = Callable[[ServerConnection, int], Any]


def frame(trade_id: int) -> str:
    now = int(time.time() * 1000)
    trade = {"e": "trade", "E": now, "s": "BTCUSDT", "t": trade_id, "p": "1", "q": "1", "T": now, "m": True, "M": True}
    return json.dumps({"stream": "btcusdt@trade", "data": trade})


class Bench:
    """A feed and the server behind it; ``connections`` counts what the server accepted."""

    def __init__(self, port: int, rotation_seconds: float) -> None:
        clock = SystemClock()
        publisher = FakePublisher(10_000, clock)
        channel = publisher.channel("BTCUSDT")
        self.sequencer = Sequencer(channel.send, 1000, 0)
        tracks = Tracks([Track("BTCUSDT", self.sequencer, channel)])
        self.path = FramePath(tracks, publisher, TradeCheck(tracks.symbols, clock), FloodDetector(clock, 1), clock)
        self.errors, self.gate = LastError(), RetryAfterGate(clock)
        self.feed = Feed(
            symbols=("BTCUSDT",),
            endpoints=stream_ladder([f"ws://127.0.0.1:{port}"], clock),
            gate=self.gate,
            path=self.path,
            clock=clock,
            rotation_seconds=rotation_seconds,
            on_connected=lambda: None,
            last_error=self.errors,
        )

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not condition():
                await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def feeding(play: Play, rotation_seconds: float = 3600) -> AsyncIterator[Bench]:
    count = 0

    async def handler(connection: ServerConnection) -> None:
        nonlocal count
        count += 1
        with contextlib.suppress(Exception):
            await play(connection, count)

    async with serve(handler, "127.0.0.1", 0) as server:
        bench = Bench(server.sockets[0].getsockname()[1], rotation_seconds)
        task = asyncio.create_task(bench.feed.run())
        try:
            yield bench
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def test_the_old_connection_is_read_until_the_new_one_has_caught_up() -> None:
    """Every new connection starts to deliver 0.3 s late: whoever drops the old one at once loses trades."""
    began = time.monotonic()

    async def market(connection: ServerConnection, number: int) -> None:
        if number > 1:
            await asyncio.sleep(0.3)
        trade_id = 0 if number == 1 else round((time.monotonic() - began) * 100)
        while True:
            while trade_id < (time.monotonic() - began) * 100:
                await connection.send(frame(trade_id))
                trade_id += 1
            await asyncio.sleep(0.01)

    async with feeding(market, rotation_seconds=0.5) as bench:
        await bench.until(lambda: bench.feed.rotations >= 2)
        assert bench.sequencer.gap() is None
        assert bench.sequencer.next_id > 100
        assert bench.feed.trust is Trust.PROVEN


async def test_a_lost_connection_is_replaced_at_once() -> None:
    async def market(connection: ServerConnection, number: int) -> None:
        await connection.send(frame(number - 1))
        if number < 9:
            await connection.close(1012, "restart")
        await connection.wait_closed()

    async with feeding(market) as bench:
        await bench.until(lambda: bench.sequencer.next_id == 9)
        assert bench.feed.connections == 9
        assert bench.feed.untrusted_seconds() == 0
        assert "1012" in (bench.errors.text or "")


class Halves(random.Random):
    """Chance at its most average."""

    def uniform(self, a: float, b: float) -> float:
        return (a + b) / 2


async def test_accepting_without_data_is_no_success() -> None:
    async def market(connection: ServerConnection, number: int) -> None:
        await connection.close()

    async with feeding(market) as bench:
        bench.feed._backoff = Backoff(rng=Halves())
        await bench.until(lambda: bench.feed.connections == 2)
        await asyncio.sleep(0.3)
        assert bench.feed.connections == 2  # the back-off has grown
        assert bench.feed.trust is not Trust.PROVEN


async def test_a_connection_called_silent_is_dropped_and_its_trust_with_it() -> None:
    async def market(connection: ServerConnection, number: int) -> None:
        await connection.send(frame(number - 1))
        await connection.wait_closed()

    async with feeding(market) as bench:
        await bench.until(lambda: bench.feed.trust is Trust.PROVEN)
        bench.feed.reconnect()
        assert bench.feed.trust is Trust.UNPROVEN
        await bench.until(lambda: bench.sequencer.next_id == 2)
        assert bench.feed.trust is Trust.PROVEN


async def test_the_exchange_can_vouch_for_a_connection_without_data() -> None:
    async def market(connection: ServerConnection, number: int) -> None:
        await connection.wait_closed()

    async with feeding(market) as bench:
        await bench.until(lambda: bench.feed.trust is Trust.UNPROVEN)
        assert bench.feed.untrusted_seconds() > 0
        bench.feed.confirm()
        assert bench.feed.untrusted_seconds() == 0


async def test_a_wish_about_an_earlier_connection_does_not_drop_a_fresh_one() -> None:
    async def market(connection: ServerConnection, number: int) -> None:
        await connection.send(frame(number - 1))
        await connection.wait_closed()

    async with feeding(market) as bench:
        bench.feed.reconnect()  # there is no connection yet
        await bench.until(lambda: bench.feed.trust is Trust.PROVEN)
        await asyncio.sleep(0.2)
        assert bench.feed.connections == 1


async def test_no_replacement_is_opened_while_the_exchange_wants_us_to_wait() -> None:
    async def market(connection: ServerConnection, number: int) -> None:
        await connection.send(frame(number - 1))
        await connection.wait_closed()

    async with feeding(market, rotation_seconds=0.3) as bench:
        await bench.until(lambda: bench.feed.trust is Trust.PROVEN)
        bench.gate.close(60, 418)
        await asyncio.sleep(0.6)
        assert bench.feed.connections == 1
        assert bench.feed.trust is Trust.PROVEN


async def test_a_request_replaces_a_living_connection_by_overlap() -> None:
    """Both connections bring every trade; the old one is read until the new one follows on it."""

    async def market(connection: ServerConnection, number: int) -> None:
        for trade_id in range(10_000):
            await connection.send(frame(trade_id))
            await asyncio.sleep(0.005)

    async with feeding(market) as bench:
        await bench.until(lambda: bench.sequencer.next_id > 3)
        assert bench.feed.request_reconnect() is Answer.REPLACING
        await bench.until(lambda: bench.feed.rotations == 1)
        assert bench.feed.connections == 2
        assert bench.feed.trust is Trust.PROVEN
        assert bench.sequencer.gap() is None
        assert bench.feed.requests.granted == 1
        assert (bench.feed.requests.describe() or {})["answer"] == "replacing"


async def test_a_request_replaces_a_silent_connection_and_data_comes_at_once() -> None:
    async def market(connection: ServerConnection, number: int) -> None:
        await connection.send(frame(0 if number == 1 else 5))
        await connection.wait_closed()

    async with feeding(market) as bench:
        await bench.until(lambda: bench.sequencer.next_id == 1)
        began = time.monotonic()
        bench.feed.request_reconnect()
        await bench.until(lambda: bench.sequencer.newest_seen == 5)
        assert time.monotonic() - began < 1  # whatever becomes of the old connection


async def test_a_request_is_refused_while_the_exchange_wants_us_to_wait() -> None:
    async def market(connection: ServerConnection, number: int) -> None:
        await connection.send(frame(number - 1))
        await connection.wait_closed()

    async with feeding(market) as bench:
        await bench.until(lambda: bench.feed.trust is Trust.PROVEN)
        bench.gate.close(60, 418)
        assert bench.feed.request_reconnect() is Answer.REFUSED_MUST_WAIT
        await asyncio.sleep(0.2)
        assert bench.feed.connections == 1
        assert (bench.feed.requests.granted, bench.feed.requests.refused) == (0, 1)


class LongestWaits(random.Random):
    """Always the longest wait."""

    def uniform(self, a: float, b: float) -> float:
        return b


async def test_a_request_ends_the_wait_for_the_next_attempt() -> None:
    async def market(connection: ServerConnection, number: int) -> None:
        if number > 2:
            await connection.send(frame(0))
            await connection.wait_closed()

    async with feeding(market) as bench:
        bench.feed._backoff = Backoff(first=20, rng=LongestWaits())
        await bench.until(lambda: bench.feed.connections == 1 and bench.feed.current_url is None)
        await asyncio.sleep(0.1)
        assert bench.feed.connections == 1
        assert bench.feed.request_reconnect() is Answer.CONNECTING_NOW
        await bench.until(lambda: bench.feed.connections == 2 and bench.feed.current_url is None)
        bench.gate.close(60, 429)
        assert bench.feed.request_reconnect() is Answer.REFUSED_MUST_WAIT
        await asyncio.sleep(0.2)
        assert bench.feed.connections == 2


async def test_an_unexpected_error_while_reading_is_reported_and_survived(monkeypatch: pytest.MonkeyPatch) -> None:
    async def market(connection: ServerConnection, number: int) -> None:
        await connection.send(frame(number - 1))
        await connection.wait_closed()

    async with feeding(market) as bench:
        accept = bench.path.accept

        def fail_once(raw: bytes, stream: str = "") -> FrameKind:
            monkeypatch.setattr(bench.path, "accept", accept)
            raise ValueError("never seen before")

        monkeypatch.setattr(bench.path, "accept", fail_once)
        await bench.until(lambda: bench.feed.trust is Trust.PROVEN)
        assert "never seen before" in (bench.errors.text or "")
        assert bench.feed.connections == 2
