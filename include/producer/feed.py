"""The stream side of the producer: keep one connection open, replace it before it ends, come back when it is lost.

A replacement overlaps: the new connection is read beside the old one until its first ids follow on the old one's last
ids, then the old one is closed. The sequencer drops what arrives twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from include.market.backoff import AttemptBudget, Backoff
from include.market.endpoints import Endpoint, EndpointLadder
from include.market.errors import EndpointError, RateLimitedError, StreamClosedError
from include.market.stream import StreamConnection
from include.market.weight import RetryAfterGate
from include.producer.errors import LastError
from include.producer.frame_path import FrameKind, FramePath
from include.producer.reconnect_requests import Answer, ReconnectRequests
from include.runtime.clock import Clock
from include.runtime.logging import get_logger

_OVERLAP_LONGEST, _OVERLAP_QUIET = 10.0, 2.0
_ROTATION_JITTER, _ROTATION_RETRY = 0.02, 30.0  # 23 h ± half an hour
_FRAMES_PER_POLL = 256
_log = get_logger("producer.feed")


class Wish(StrEnum):
    """Why a live connection is to be replaced."""

    AGE = "age"  # the exchange closes connections at 24 h
    SHUTDOWN_NOTICE = "shutdown_notice"
    SILENT = "silent"  # it brings no data although there is some: no overlap, it is of no use
    REQUESTED = "requested"  # somebody wants another one


class Trust(StrEnum):
    """Whether the stream can be relied on; while it cannot, trades are polled by REST."""

    DOWN = "down"  # no connection
    UNPROVEN = "unproven"  # connected, no valid data yet
    PROVEN = "proven"  # it brought valid data, or the exchange confirmed that there is none to bring


@dataclass
class _Live:
    connection: StreamConnection
    endpoint: Endpoint
    rotate_at: float
    reader: asyncio.Task[None]
    first_ids: dict[str, int]  # by symbol
    last_ids: dict[str, int]


class Feed:
    """Runs until cancelled. ``on_connected`` is called for each new connection."""

    def __init__(
        self,
        *,
        symbols: tuple[str, ...],
        endpoints: EndpointLadder,
        gate: RetryAfterGate,
        path: FramePath,
        clock: Clock,
        rotation_seconds: float,
        on_connected: Callable[[], None],
        last_error: LastError,
    ) -> None:
        self._symbols, self.endpoints, self._gate, self._path, self._clock = symbols, endpoints, gate, path, clock
        self._rotation_seconds, self._on_connected = rotation_seconds, on_connected
        self._last_error = last_error
        self._rng = random.Random()  # noqa: S311 (jitter needs no secrecy)
        self._backoff, self._attempts = Backoff(), AttemptBudget(clock)
        self._wished = asyncio.Event()
        self._wish: Wish | None = None
        self.trust, self.untrusted_since = Trust.DOWN, clock.monotonic()
        self.connections = self.rotations = 0
        self.current_url: str | None = None
        self.requests = ReconnectRequests(clock)

    async def run(self) -> None:
        """Stay connected."""
        while True:
            live = await self._connect()
            try:
                await self._serve(live)
            finally:
                self._distrust(Trust.DOWN)

    def reconnect(self) -> None:
        """The connection is silent although there is data: drop it and open another."""
        self._distrust(Trust.UNPROVEN)
        self._ask_for(Wish.SILENT)

    def request_reconnect(self) -> Answer:
        """Somebody wants another connection: by overlap, so that one that still brings trades is no loss.

        While there is none, the next attempt is made now. Never against the exchange's will (429, 418), nor beyond our
        own budget of attempts.
        """
        if self._seconds_to_wait() > 0:
            return self.requests.answered(Answer.REFUSED_MUST_WAIT)
        self._ask_for(Wish.REQUESTED)
        return self.requests.answered(Answer.REPLACING if self.current_url else Answer.CONNECTING_NOW)

    def confirm(self) -> None:
        """The exchange has nothing to bring: silence speaks for the connection."""
        if self.trust is Trust.UNPROVEN:
            self.trust = Trust.PROVEN

    def untrusted_seconds(self) -> float:
        """Seconds since the stream could be relied on; 0 while it can."""
        return 0.0 if self.trust is Trust.PROVEN else self._clock.monotonic() - self.untrusted_since

    def _ask_for(self, wish: Wish) -> None:
        self._wish = wish
        self._wished.set()

    def _forget_wish(self) -> None:
        self._wish = None
        self._wished.clear()

    def _distrust(self, trust: Trust) -> None:
        if self.trust is Trust.PROVEN:
            self.untrusted_since = self._clock.monotonic()
        self.trust = trust
        if trust is Trust.DOWN:
            self.current_url = None

    async def _connect(self) -> _Live:
        self._forget_wish()  # it was about an earlier connection
        wait = self._backoff.next_delay()
        while True:
            wait = max(wait, self._seconds_to_wait())
            if wait > 0:
                _log.info("connecting later", seconds=round(wait, 1))
                await self._pause(wait)
            if (live := await self._try_endpoints()) is not None:
                self.trust = Trust.UNPROVEN
                self._forget_wish()
                self._on_connected()
                return live
            # Open breakers let nothing be tried: that is no failure of its own, so the back-off does not grow.
            closed_for = min(e.breaker.seconds_to_probe() for e in self.endpoints)
            wait = closed_for if closed_for > 0 else self._backoff.next_delay()

    async def _pause(self, seconds: float) -> None:
        """Wait between two attempts; a request ends it, as it was granted only if nothing forbids an attempt."""
        until = self._clock.monotonic() + seconds
        while (left := until - self._clock.monotonic()) > 0:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wished.wait(), left)
            requested = self._wish is Wish.REQUESTED
            self._forget_wish()
            if requested:
                return

    def _seconds_to_wait(self) -> float:
        """Seconds until another attempt is allowed, by our own budget and by what the exchange asked for."""
        return max(self._attempts.seconds_to_wait(), self._gate.seconds_left())

    async def _try_endpoints(self) -> _Live | None:
        """A connection to the first endpoint that takes one."""
        for endpoint, permission in self.endpoints.candidates():
            if not permission.granted:
                continue
            self._attempts.spend()
            try:
                connection = await StreamConnection.open(endpoint.url, self._symbols)
            except RateLimitedError as error:
                endpoint.breaker.succeed()  # it answered; another host would not help, limits count per address
                self._gate.close(error.retry_after, error.status or 429)
                self._last_error.note("stream", error)
                return None
            except EndpointError as error:
                endpoint.breaker.fail()
                self._last_error.note("stream", error)
                _log.warning("stream endpoint failed", url=endpoint.url, cause=error.cause)
                continue
            return self._begin(connection, endpoint)
        return None

    def _begin(self, connection: StreamConnection, endpoint: Endpoint) -> _Live:
        jitter = self._rng.uniform(1 - _ROTATION_JITTER, 1 + _ROTATION_JITTER)
        first_ids: dict[str, int] = {}
        last_ids: dict[str, int] = {}
        reader = asyncio.create_task(self._read(connection, endpoint, first_ids, last_ids), name="stream-reader")
        rotate_at = self._clock.monotonic() + self._rotation_seconds * jitter
        live = _Live(connection, endpoint, rotate_at, reader, first_ids, last_ids)
        self.connections += 1
        self.current_url = endpoint.url
        _log.info("stream connected", url=endpoint.url, symbols=len(self._symbols))
        return live

    async def _serve(self, live: _Live) -> None:
        """Until the connection (or its last successor) has ended."""
        try:
            while True:
                wish = await self._next_wish(live)
                if wish is None:
                    return
                if wish is Wish.SILENT:
                    live.endpoint.breaker.fail()
                    _log.warning("stream dropped", url=live.endpoint.url, reason=wish.value)
                    return
                live = await self._replace(live, wish)
        finally:
            await _end(live)

    async def _next_wish(self, live: _Live) -> Wish | None:
        """Why to replace the connection; None when it ended by itself."""
        wished = asyncio.create_task(self._wished.wait())
        try:
            wait = max(0.0, live.rotate_at - self._clock.monotonic())
            await asyncio.wait({live.reader, wished}, timeout=wait, return_when=asyncio.FIRST_COMPLETED)
        finally:
            wished.cancel()
        if live.reader.done():
            return None
        wish = self._wish or Wish.AGE
        self._forget_wish()
        return wish

    async def _replace(self, old: _Live, wish: Wish) -> _Live:
        new = await self._try_endpoints() if self._seconds_to_wait() == 0 else None
        if new is None:
            old.rotate_at = self._clock.monotonic() + _ROTATION_RETRY
            return old
        try:
            overlap = await self._overlap(old, new)
        except BaseException:
            await _end(new)
            raise
        await _end(old)
        self.rotations += 1
        self._forget_wish()  # a notice that the old connection repeated
        _log.info("stream replaced", reason=wish.value, url=new.endpoint.url, overlap=overlap.value)
        return new

    async def _overlap(self, old: _Live, new: _Live) -> Overlap:
        opened, at_opening = self._clock.monotonic(), dict(old.last_ids)
        while True:
            age = self._clock.monotonic() - opened
            verdict = overlap_state(at_opening, old.last_ids, new.first_ids, age)
            if verdict is not Overlap.NOT_YET:
                return verdict
            if old.reader.done() or new.reader.done():
                return Overlap.ENDED
            await asyncio.sleep(0.02)

    async def _read(
        self, connection: StreamConnection, endpoint: Endpoint, first_ids: dict[str, int], last_ids: dict[str, int]
    ) -> None:
        """Feed frames into the path until the connection ends."""
        path, frames = self._path, 0
        try:
            while True:
                kind = path.accept(await connection.receive(), endpoint.url)
                frames += 1
                if frames % _FRAMES_PER_POLL == 0:
                    path.publisher.poll()
                    await asyncio.sleep(0)
                if kind is FrameKind.TRADE and (trade := path.last_trade) is not None:
                    last_ids[trade.symbol] = trade.trade_id
                    if trade.symbol not in first_ids:
                        self._prove(endpoint)
                        first_ids[trade.symbol] = trade.trade_id
                elif kind is FrameKind.SHUTDOWN_NOTICE:
                    self._ask_for(Wish.SHUTDOWN_NOTICE)
        except StreamClosedError as closed:
            self._last_error.note("stream", f"{endpoint.url}: {closed}")
            _log.warning("stream closed", url=endpoint.url, cause=str(closed), frames=frames)
            if not last_ids:
                endpoint.breaker.fail()
        except Exception as error:
            self._last_error.note("stream", f"{endpoint.url}: {error!r}")
            _log.exception("reading the stream failed", url=endpoint.url)
            endpoint.breaker.fail()

    def _prove(self, endpoint: Endpoint) -> None:
        self._backoff.reset()
        endpoint.breaker.succeed()
        self.trust = Trust.PROVEN


class Overlap(StrEnum):
    """How far a new connection follows on the old one."""

    NOT_YET = "not_yet"
    PROVEN = "proven"  # every symbol's first new id is at most the old one's last + 1
    QUIET = "quiet"  # … or it did not trade on either connection since the new one was subscribed
    TIMED_OUT = "timed_out"  # the sequencer will repair what is missing by id
    ENDED = "ended"  # one of the two was closed meanwhile


def overlap_state(
    at_opening: dict[str, int], old_last: dict[str, int], new_first: dict[str, int], age: float
) -> Overlap:
    """Judge an overlap of ``age`` seconds. Ids by symbol: the old connection's last ones when the new one was opened
    and now, and the new one's first."""
    waiting = [s for s, last in old_last.items() if s not in new_first or new_first[s] > last + 1]
    if not waiting:
        return Overlap.PROVEN
    if age >= _OVERLAP_QUIET and all(s not in new_first and old_last[s] == at_opening.get(s) for s in waiting):
        return Overlap.QUIET
    return Overlap.TIMED_OUT if age >= _OVERLAP_LONGEST else Overlap.NOT_YET


async def _end(live: _Live) -> None:
    live.reader.cancel()
    await asyncio.gather(live.reader, return_exceptions=True)
    await live.connection.close()
