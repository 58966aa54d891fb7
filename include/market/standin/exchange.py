"""The stand-in exchange put together: ledger, streams, REST, control endpoint, and the tick that moves them."""

from __future__ import annotations

import asyncio
import contextlib
import os
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

from aiohttp import web
from aiohttp.typedefs import Handler

from include.market.standin.archive import load_archive, symbol_of
from include.market.standin.clock import ScaledClock
from include.market.standin.config import StandInConfig
from include.market.standin.connection import Ending, reset_transport
from include.market.standin.context import Context
from include.market.standin.control_server import ControlServer
from include.market.standin.endpoints import endpoint_table, views
from include.market.standin.errors import PortTakenError, StandInError
from include.market.standin.faults import Acceptance, FaultBoard, Faults
from include.market.standin.generated_ledger import GeneratedLedger
from include.market.standin.journal import FileJournal
from include.market.standin.ledger import Ledger, Pace
from include.market.standin.limits import Accounting
from include.market.standin.replayed_ledger import ReplayedLedger
from include.market.standin.rest_server import RestServer
from include.market.standin.stream_server import StreamServer
from include.market.standin.stream_views import ViewBroadcast
from include.market.standin.trades import Trade
from include.runtime.clock import Clock, ManualClock
from include.runtime.logging import get_logger
from include.settings import LOOPBACK

_LOG = get_logger("exchange")
_TICK_SECONDS = 0.02  # real time, whatever the exchange's clock does
_TLS_ALERT = bytes((0x15, 3, 3, 0, 2, 2, 40))  # fatal, handshake failure
_LONGEST_LINE = 64 * 1024  # 1024 stream names fit into a request line


class StandInExchange:
    """An exchange on loopback; see the package for how to use it.

    Raises :class:`PortTakenError`, :class:`ArchiveError` and :class:`JournalError` when it cannot start.
    """

    def __init__(self, config: StandInConfig | None = None, clock: Clock | None = None) -> None:
        self.config = config or StandInConfig()
        self.clock: Clock = clock or ScaledClock()
        self._started_at = datetime.now(UTC)
        self.ledger = _open_ledger(self.config, self.clock)
        self.accounting = Accounting(self.config.limits, self.clock)
        replay = self.config.replay_file is not None
        self.faults = FaultBoard(self.ledger.symbols, self._faults_changed, replay)
        self._pace, self._ban_seconds = Pace(), 0.0
        context = Context(self.ledger, self.clock, self.config.limits, self.accounting, self.faults, self.config.seed)
        klines, tickers = views(context)
        self.streams = StreamServer(context, ViewBroadcast(self.ledger, klines, tickers))
        self._rest = RestServer(endpoint_table(context, klines, tickers), context, self._wait)
        self._ticked = asyncio.Condition()
        self._runners: list[web.AppRunner] = []
        self._sockets: dict[str, asyncio.Server] = {}
        self._ports = {"public": self.config.port, "control": self.config.control_port}
        self._ticking: asyncio.Task[None] | None = None

    @property
    def rest_url(self) -> str:
        """Base of the REST endpoints."""
        return f"http://{LOOPBACK}:{self._ports['public']}"

    @property
    def stream_url(self) -> str:
        """Base of the WebSocket streams."""
        return f"ws://{LOOPBACK}:{self._ports['public']}"

    @property
    def control_url(self) -> str:
        """Base of the control endpoint."""
        return f"http://{LOOPBACK}:{self._ports['control']}"

    def trades(self, symbol: str) -> list[Trade]:
        """All trades of a symbol so far: the ground truth."""
        return list(self.ledger.columns(symbol, 0, self.ledger.next_id(symbol)).records(symbol))

    async def advance(self, seconds: float) -> None:
        """With a :class:`ManualClock`: let time pass, and deliver all that happened in it."""
        if not isinstance(self.clock, ManualClock):
            raise StandInError("only an exchange on a ManualClock can be advanced by hand")
        self.clock.advance(seconds)
        await self.settle()

    async def settle(self) -> None:
        """Deliver all that has happened up to now, and let changed faults take effect."""
        await self._tick()
        while not self.streams.caught_up:
            await asyncio.sleep(0)  # lets the sockets take what was handed to them
            await self._tick()

    def state(self) -> dict[str, Any]:
        """Health and counters, JSON-serialisable."""
        connections = self.streams.connections
        return {
            "service": "exchange",
            "status": "running",
            "pid": os.getpid(),
            "started_at": self._started_at.isoformat(timespec="milliseconds"),
            "feed": "replay" if self.config.replay_file else "generated",
            "ledger": {"resumed": self.ledger.resumed, "market_time_ms": self.ledger.now_us // 1000},
            "clock_time_ms": self.clock.time_ms(),
            "symbols": {symbol: self._symbol_state(symbol) for symbol in self.ledger.symbols},
            "faults": self.faults.current.active(),
            "connections": [connection.snapshot() for connection in connections],
            "accepted_connections": self.streams.accepted,
            "closed_connections": dict(self.streams.endings),
            "addresses": self.accounting.snapshot(),
        }

    async def start(self) -> None:
        """Bind both ports and let time pass."""
        application = web.Application(middlewares=[self._gate])
        application.add_routes(self.streams.routes() + self._rest.routes())
        await self._listen("public", application)
        control = web.Application()
        control.add_routes(ControlServer(self).routes())
        await self._listen("control", control)
        self._ticking = asyncio.create_task(self._run(), name="exchange-tick")
        _LOG.info("exchange is up", rest=self.rest_url, streams=self.stream_url, control=self.control_url)

    async def wait(self) -> None:
        """Wait until the exchange is stopped; raises what made it fail."""
        if self._ticking is not None:
            await self._ticking

    async def stop(self) -> None:
        """Close all connections and ports and record where the ledger ends."""
        try:
            if self._ticking is not None:
                self._ticking.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await self._ticking
        finally:
            self.streams.close_all(Ending.SHUTDOWN)
            for server in self._sockets.values():
                server.close()
            for runner in self._runners:
                await runner.cleanup()
            self._sockets.clear()
            self.ledger.close()

    async def __aenter__(self) -> Self:
        try:
            await self.start()
        except BaseException:
            await self.stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def _symbol_state(self, symbol: str) -> dict[str, Any]:
        newest = self.ledger.columns(symbol, self.ledger.next_id(symbol) - 1, self.ledger.next_id(symbol))
        return {
            "status": self.faults.current.status_of(symbol),
            "first_id": self.ledger.first_id(symbol),
            "next_id": self.ledger.next_id(symbol),
            "newest_event_time_ms": int(newest.time_us[0]) // 1000 if len(newest) else None,
        }

    async def _listen(self, purpose: str, application: web.Application) -> None:
        runner = web.AppRunner(
            application,
            access_log=None,
            shutdown_timeout=1.0,
            max_line_size=_LONGEST_LINE,
            max_field_size=_LONGEST_LINE,
        )
        await runner.setup()
        self._runners.append(runner)
        await self._bind(purpose, runner)

    async def _bind(self, purpose: str, runner: web.AppRunner) -> None:
        loop = asyncio.get_running_loop()
        factory = runner.server
        if factory is None:
            raise StandInError("the exchange is being shut down")
        try:
            server = await loop.create_server(factory, self.config.host, self._ports[purpose], reuse_address=True)
        except OSError as error:
            raise PortTakenError(self._ports[purpose], f"{purpose} port of the stand-in exchange") from error
        self._sockets[purpose] = server
        self._ports[purpose] = server.sockets[0].getsockname()[1]

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(_TICK_SECONDS)
            await self._tick()

    async def _tick(self) -> None:
        async with self._ticked:
            await self._follow_acceptance()
            self.ledger.advance(self.clock.time_ms() * 1000)
            self.streams.tick()
            self._ticked.notify_all()

    async def _wait(self, seconds: float) -> None:
        """Wait exchange seconds."""
        deadline = self.clock.monotonic() + seconds
        async with self._ticked:
            await self._ticked.wait_for(lambda: self.clock.monotonic() >= deadline)

    def _faults_changed(self, faults: Faults) -> None:
        self.ledger.advance(self.clock.time_ms() * 1000)
        if (pace := faults.pace(self.ledger.symbols)) != self._pace:
            self._pace = pace
            self.ledger.set_pace(pace)
        if faults.ban_seconds != self._ban_seconds:
            self._ban_seconds = faults.ban_seconds
            self.accounting.ban_all(faults.ban_seconds)
        _LOG.warning("faults changed", faults=faults.active() or "none")

    async def _follow_acceptance(self) -> None:
        """Stop or start listening on the public port; open connections stay."""
        if self.faults.current.connections is Acceptance.REFUSE:
            if (server := self._sockets.pop("public", None)) is not None:
                server.close()
        elif "public" not in self._sockets:
            await self._bind("public", self._runners[0])

    @web.middleware
    async def _gate(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Faults of new connections, ahead of everything else."""
        acceptance = self.faults.current.connections
        transport = request.transport
        if acceptance in (Acceptance.RESET, Acceptance.TLS) and transport is not None:
            if acceptance is Acceptance.TLS:
                transport.write(_TLS_ALERT)
                transport.close()
            else:
                reset_transport(transport)
        return await handler(request)


def _open_ledger(config: StandInConfig, clock: Clock) -> Ledger:
    now_us = clock.time_ms() * 1000
    if config.replay_file is not None:
        symbol = symbol_of(config.replay_file) or config.symbols[0]
        trades = load_archive(config.replay_file)
        return ReplayedLedger(config.symbols, symbol, trades, config.replay_factor, now_us)
    journal = None if config.state_dir is None else FileJournal(config.state_dir, f"ledger-seed{config.seed}")
    return GeneratedLedger(config.symbols, config.seed, config.rate, now_us, journal)
