"""The control endpoint: faults, ground truth and state, for tests and drills; no part of the exchange's protocol."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import msgspec
from aiohttp import web

from include.market.standin.clock import ScaledClock
from include.market.standin.connection import Ending
from include.market.standin.errors import FaultError, StandInError
from include.market.standin.payloads import TimeUnit
from include.market.standin.rest_trades import trade_fields

if TYPE_CHECKING:
    from include.market.standin.exchange import StandInExchange

_MOST_TRADES = 50_000  # in one answer of the ledger
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class ControlServer:
    """``/control/…`` on a port of its own; every answer is JSON, an error ``{"error": <sentence>}`` with status 400.

    ======  =============================  =====================================================================
    GET     /control/state                 health and counters
    GET     /control/faults                faults that are on, and all that there are with their descriptions
    POST    /control/faults                switch faults on: ``{"drop_ratio": 0.01}``
    DELETE  /control/faults[?name=…]       switch all faults off, or those named
    GET     /control/ledger?symbol=…       ground truth: trades ``from`` ≤ id ≤ ``to``
    POST    /control/shutdown-notice       send ``serverShutdown`` to every stream connection
    POST    /control/disconnect            ``{"how": "close" | "reset"}``: end every stream connection
    POST    /control/inject                ``{"stream": …, "text": …}``: send any text to a stream's subscribers
    POST    /control/reset-limits          forget request weights, connection attempts and bans
    POST    /control/clock                 ``{"factor": f}`` and/or ``{"advance_seconds": n}``
    ======  =============================  =====================================================================
    """

    def __init__(self, exchange: StandInExchange) -> None:
        self._exchange = exchange

    def routes(self) -> list[web.RouteDef]:
        """Routes of the control port."""
        return [
            web.get("/control/state", _guard(self._state)),
            web.get("/control/faults", _guard(self._show_faults)),
            web.post("/control/faults", _guard(self._set_faults)),
            web.delete("/control/faults", _guard(self._clear_faults)),
            web.get("/control/ledger", _guard(self._ledger)),
            web.post("/control/shutdown-notice", _guard(self._shutdown_notice)),
            web.post("/control/disconnect", _guard(self._disconnect)),
            web.post("/control/inject", _guard(self._inject)),
            web.post("/control/reset-limits", _guard(self._reset_limits)),
            web.post("/control/clock", _guard(self._clock)),
        ]

    async def _state(self, request: web.Request) -> Any:
        return self._exchange.state()

    async def _show_faults(self, request: web.Request) -> Any:
        fields = type(self._exchange.faults.current).model_fields
        return {
            "active": self._exchange.faults.current.active(),
            "available": {name: info.description for name, info in fields.items()},
        }

    async def _set_faults(self, request: web.Request) -> Any:
        faults = self._exchange.faults.set(**await _body(request))
        await self._exchange.settle()
        return {"active": faults.active()}

    async def _clear_faults(self, request: web.Request) -> Any:
        faults = self._exchange.faults.clear(*request.query.getall("name", []))
        await self._exchange.settle()
        return {"active": faults.active()}

    async def _ledger(self, request: web.Request) -> Any:
        ledger, symbol = self._exchange.ledger, request.query.get("symbol", "")
        if symbol not in ledger.symbols:
            raise FaultError(f"symbol: received {symbol!r}; this exchange has {', '.join(ledger.symbols)}")
        first, stop = ledger.first_id(symbol), ledger.next_id(symbol)
        start = max(first, _number(request, "from", first))
        end = min(stop, _number(request, "to", stop - 1) + 1, start + _MOST_TRADES)
        return {
            "symbol": symbol,
            "first_id": first,
            "next_id": stop,
            "trades": trade_fields(ledger.columns(symbol, start, end), TimeUnit.MILLISECOND),
        }

    async def _shutdown_notice(self, request: web.Request) -> Any:
        return {"connections": self._exchange.streams.announce_shutdown()}

    async def _disconnect(self, request: web.Request) -> Any:
        how = (await _body(request)).get("how", "close")
        if how not in ("close", "reset"):
            raise FaultError(f"how: received {how!r}; allowed are close and reset")
        streams = self._exchange.streams
        return {"connections": streams.reset_all() if how == "reset" else streams.close_all(Ending.REQUESTED)}

    async def _inject(self, request: web.Request) -> Any:
        body = await _body(request)
        stream, text = body.get("stream"), body.get("text")
        if not isinstance(stream, str) or not isinstance(text, str):
            raise FaultError('a stream and a text are needed: {"stream": "btcusdt@trade", "text": "{}"}')
        return {"connections": self._exchange.streams.inject(text.encode(), stream)}

    async def _reset_limits(self, request: web.Request) -> Any:
        self._exchange.accounting.clear()
        return {"addresses": self._exchange.accounting.snapshot()}

    async def _clock(self, request: web.Request) -> Any:
        clock, body = self._exchange.clock, await _body(request)
        if not isinstance(clock, ScaledClock):
            raise FaultError("this exchange runs on a clock that only its owner can change")
        for name, change in (("factor", clock.set_factor), ("advance_seconds", clock.advance)):
            value = body.get(name)
            if value is not None and not isinstance(value, int | float):
                raise FaultError(f"{name}: received {value!r}; allowed is a number")
            if value is not None:
                change(float(value))
        return {"factor": clock.factor, "time_ms": clock.time_ms()}


def _guard(answer: Callable[[web.Request], Awaitable[Any]]) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        try:
            body, status = await answer(request), 200
        except StandInError as error:
            body, status = {"error": str(error)}, 400
        return web.Response(body=msgspec.json.encode(body), status=status, content_type="application/json")

    return handle


async def _body(request: web.Request) -> dict[str, Any]:
    content = await request.read()
    try:
        return msgspec.json.decode(content or b"{}", type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise FaultError(f"the body has to be a JSON object: {error}") from error


def _number(request: web.Request, name: str, default: int) -> int:
    try:
        return int(request.query.get(name, default))
    except ValueError as error:
        raise FaultError(f"{name}: received {request.query[name]!r}; allowed is a trade id") from error
