"""The REST side: admission (limits and faults) around a table of endpoints with their weights."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import msgspec
from aiohttp import web

from include.market.standin.context import Context
from include.market.standin.limits import Admission, Decision
from include.market.standin.parameters import ApiError, Parameters
from include.market.standin.payloads import TimeUnit

Answer = Callable[[Parameters, TimeUnit], Any]
Weight = Callable[[web.Request], int]
Waiter = Callable[[float], Awaitable[None]]  # waits exchange seconds

_UNITS = {"": TimeUnit.MILLISECOND, "MILLISECOND": TimeUnit.MILLISECOND, "MICROSECOND": TimeUnit.MICROSECOND}
_TIMEOUT_SECONDS = 10.0  # the exchange gives up on a request after this time
_WAF_PAGE = "<html><head><title>403 Forbidden</title></head><body>Forbidden</body></html>"
_BANNED = (
    "Way too much request weight used; IP banned until {until}. "
    "Please use WebSocket Streams for live updates to avoid bans."
)
_OVER_WEIGHT = (
    "Too much request weight used; current limit is {limit} request weight per 1 MINUTE. "
    "Please use WebSocket Streams for live updates to avoid polling the API."
)
_FAULT_ERRORS = {
    418: (
        -1003,
        _BANNED,
    ),
    429: (-1003, "Too many requests queued."),
    451: (0, "Service unavailable from a restricted location according to 'b. Eligibility' in the terms of use."),
    503: (-1008, "Server is currently overloaded with other requests. Please try again in a few minutes."),
    504: (-1007, "Timeout waiting for response from backend server. Send status unknown; execution status unknown."),
}
_FAULT_RETRY_SECONDS = 60


@dataclass(frozen=True)
class Endpoint:
    """A row of the endpoint table: what it weighs (given the query) and who answers it."""

    path: str  # below /api/v3/
    weight: Weight
    answer: Answer


class RestServer:
    """Serves the endpoints with limits, headers, errors and faults."""

    def __init__(
        self,
        endpoints: list[Endpoint],
        context: Context,
        wait: Waiter,
    ) -> None:
        self._endpoints, self._context, self._limits, self._wait = endpoints, context, context.limits, wait

    def routes(self) -> list[web.RouteDef]:
        """Routes of the public port."""
        return [web.get(f"/api/v3/{endpoint.path}", self._handler(endpoint)) for endpoint in self._endpoints]

    def _handler(self, endpoint: Endpoint) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def handle(request: web.Request) -> web.StreamResponse:
            address = request.remote or "unknown"
            decision = self._context.accounting.request(address, endpoint.weight(request))
            try:
                self._admit(decision)
                await self._apply_faults()
                unit = _time_unit(request)
                response = _json(endpoint.answer(Parameters(request.query, self._context.ledger.symbols), unit))
            except ApiError as error:
                response = _json(error.body(), error.status) if error.status != 403 else _waf()
                response.headers.update(error.headers)
            response.headers["X-MBX-USED-WEIGHT"] = str(decision.used_weight)
            response.headers["X-MBX-USED-WEIGHT-1M"] = str(decision.used_weight)
            return response

        return handle

    def _admit(self, decision: Decision) -> None:
        headers = {"Retry-After": str(decision.retry_after_seconds)}
        if decision.admission is Admission.BANNED:
            raise ApiError(-1003, _BANNED.format(until=decision.until_ms), 418, headers)
        if decision.admission is Admission.OVER_WEIGHT:
            limit = self._limits.request_weight_per_minute
            raise ApiError(-1003, _OVER_WEIGHT.format(limit=limit), 429, headers)
        if decision.admission is Admission.OVER_REQUESTS:
            limit = self._limits.raw_requests_per_five_minutes
            raise ApiError(-1003, f"Too many requests; current limit is {limit} requests per 5 MINUTE.", 429, headers)

    async def _apply_faults(self) -> None:
        faults = self._context.faults.current
        if faults.rest_hang_seconds:
            await self._wait(min(faults.rest_hang_seconds, _TIMEOUT_SECONDS))
            if faults.rest_hang_seconds >= _TIMEOUT_SECONDS:
                raise ApiError(*_FAULT_ERRORS[504], status=504)
        if (status := faults.rest_status) is not None:
            code, message = _FAULT_ERRORS.get(
                status, (-1000, "An unknown error occurred while processing the request.")
            )
            headers = {"Retry-After": str(_FAULT_RETRY_SECONDS)} if status in (418, 429) else {}
            until = self._context.clock.time_ms() + _FAULT_RETRY_SECONDS * 1000
            raise ApiError(code, message.format(until=until), status, headers)


def _time_unit(request: web.Request) -> TimeUnit:
    unit = _UNITS.get(request.headers.get("X-MBX-TIME-UNIT", "").upper())
    if unit is None:
        raise ApiError(-1194, "Invalid value for time unit; expected either MICROSECOND or MILLISECOND.")
    return unit


def _json(body: Any, status: int = 200) -> web.Response:
    return web.Response(body=msgspec.json.encode(body), status=status, content_type="application/json", charset="utf-8")


def _waf() -> web.Response:
    return web.Response(text=_WAF_PAGE, status=403, content_type="text/html")
