"""The exchange's REST market data. Synchronous; from asyncio call it through ``asyncio.to_thread``.

One call tries each endpoint that offers it at most once, in order of preference; retrying is the caller's business, so
that retries never multiply. Limits (weight budget, ``Retry-After``) are kept here for the whole process.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from http.cookiejar import DefaultCookiePolicy
from typing import TypeVar

import msgspec
import requests
from requests.adapters import HTTPAdapter

from include.market.endpoints import Call, Endpoint, EndpointLadder, is_loopback, rest_ladder
from include.market.errors import EndpointError, NoEndpointError, RateLimitedError, RequestRefusedError
from include.market.messages import AggregateTrade, ApiErrorBody, ExchangeInfo, RestTrade
from include.market.weight import Admission, Priority, RetryAfterGate, WeightBudget
from include.runtime.clock import Clock, SystemClock
from include.runtime.logging import get_logger

PAGE_LIMIT = 1000  # most rows the exchange gives in one answer
_WEIGHTS = {
    Call.EXCHANGE_INFO: 20,
    Call.AGGREGATE_TRADES: 4,
    Call.RECENT_TRADES: 25,
    Call.HISTORICAL_TRADES: 25,
}
_WEIGHT_HEADER = "X-MBX-USED-WEIGHT-1M"
_WAIT_WITHOUT_HEADER = {429: 60.0, 418: 120.0, 403: 30.0}  # 418 bans start at 2 minutes; 403 is the firewall
_CONNECT_TIMEOUT, _READ_TIMEOUT = 2.0, 11.0  # the exchange itself gives up after 10 s (code -1007)

T = TypeVar("T")
_log = get_logger("market.rest")


class RestClient:
    """Typed calls over a ladder of endpoints.

    Every call raises :class:`RateLimitedError` (nothing is sent while the exchange wants us to wait, or when the
    minute's budget is too far spent for the call's priority), :class:`NoEndpointError` (no endpoint answered) or
    :class:`RequestRefusedError` (the exchange refused, for example an invalid symbol).
    """

    def __init__(
        self,
        urls: Iterable[str],
        clock: Clock | None = None,
        *,
        timeouts: tuple[float, float] = (_CONNECT_TIMEOUT, _READ_TIMEOUT),
    ) -> None:
        clock = clock or SystemClock()
        self.endpoints: EndpointLadder = rest_ladder(urls, clock)
        self.budget, self.gate = WeightBudget(clock), RetryAfterGate(clock)
        self._timeouts = timeouts
        self._session = _session(trust_environment=not all(is_loopback(e.url) for e in self.endpoints))

    def exchange_info(self, symbols: Iterable[str]) -> ExchangeInfo:
        """Limits and symbol states; the weight budget takes over the stated limit."""
        query = {"symbols": msgspec.json.encode(list(symbols)).decode()}
        info = self._get(Call.EXCHANGE_INFO, query, ExchangeInfo, Priority.OPTIONAL)
        if limit := info.weight_per_minute():
            self.budget.set_limit(limit)
        return info

    def newest_trade_id(self, symbol: str) -> int | None:
        """The oracle: id of the newest trade the exchange has; None when the symbol never traded."""
        query = {"symbol": symbol, "limit": "1"}
        rows = self._get(Call.AGGREGATE_TRADES, query, list[AggregateTrade], Priority.ORACLE)
        return rows[-1].last_trade_id if rows else None

    def first_trade_id_at(self, symbol: str, time_ms: int) -> int | None:
        """Id of the first trade at or after a time (milliseconds since the epoch); None when there is none yet."""
        query = {"symbol": symbol, "startTime": str(time_ms), "limit": "1"}
        rows = self._get(Call.AGGREGATE_TRADES, query, list[AggregateTrade], Priority.REPAIR)
        return rows[0].first_trade_id if rows else None

    def trades_from(self, symbol: str, trade_id: int, limit: int = PAGE_LIMIT) -> list[RestTrade]:
        """Up to ``limit`` trades with ids from ``trade_id`` on, in id order (not offered by the data-only family)."""
        query = {"symbol": symbol, "fromId": str(trade_id), "limit": str(limit)}
        return self._get(Call.HISTORICAL_TRADES, query, list[RestTrade], Priority.REPAIR)

    def recent_trades(self, symbol: str, limit: int = PAGE_LIMIT) -> list[RestTrade]:
        """The newest ``limit`` trades, in id order."""
        query = {"symbol": symbol, "limit": str(limit)}
        return self._get(Call.RECENT_TRADES, query, list[RestTrade], Priority.REPAIR)

    def close(self) -> None:
        """Close idle connections."""
        self._session.close()

    def _get(self, call: Call, query: Mapping[str, str], kind: type[T], priority: Priority) -> T:
        self._check_limits(call, priority)
        causes: dict[str, str] = {}
        for endpoint, permission in self.endpoints.candidates(call):
            if not permission.granted:
                causes[endpoint.url] = f"circuit breaker {permission.value}"
                continue
            try:
                answer = self._ask(endpoint, call, query, kind)
            except EndpointError as error:
                endpoint.breaker.fail()
                causes[endpoint.url] = error.cause
                _log.warning("endpoint failed", url=endpoint.url, call=call.value, cause=error.cause)
            except BaseException:
                endpoint.breaker.succeed()  # it answered: refusing and limiting are not the endpoint's fault
                raise
            else:
                endpoint.breaker.succeed()
                return answer
        raise NoEndpointError(call.value, causes)

    def _check_limits(self, call: Call, priority: Priority) -> None:
        if (wait := self.gate.seconds_left()) > 0:
            raise RateLimitedError(f"the exchange asked to wait (HTTP {self.gate.last_status})", wait)
        admission = self.budget.admit(_WEIGHTS[call], priority)
        if admission is not Admission.ALLOWED:
            raise RateLimitedError(f"weight budget {admission.value}", self.budget.seconds_to_reset())

    def _ask(self, endpoint: Endpoint, call: Call, query: Mapping[str, str], kind: type[T]) -> T:
        try:
            response = self._session.get(endpoint.url + call.value, params=query, timeout=self._timeouts)
        except requests.RequestException as error:
            raise EndpointError(endpoint.url, _cause(error)) from error
        if (used := response.headers.get(_WEIGHT_HEADER, "")).isdecimal():
            self.budget.observe(int(used))
        status = response.status_code
        if status in _WAIT_WITHOUT_HEADER:
            raise self._limited(endpoint, response)
        if status >= 500 or status in (404, 451):  # 451: not from this place; another family may answer
            raise EndpointError(endpoint.url, f"HTTP {status}")
        if status >= 400:
            body = _decoded(response.content, ApiErrorBody) or ApiErrorBody()
            raise RequestRefusedError(status, body.code, body.message)
        answer = _decoded(response.content, kind) if status == 200 else None
        if answer is None:
            raise EndpointError(endpoint.url, f"HTTP {status} with a body that is not the agreed JSON")
        return answer

    def _limited(self, endpoint: Endpoint, response: requests.Response) -> RateLimitedError:
        status, header = response.status_code, response.headers.get("Retry-After", "")
        wait = float(header) if header.isdecimal() else _WAIT_WITHOUT_HEADER[status]
        self.gate.close(wait, status)
        _log.warning("rate limited by the exchange", url=endpoint.url, status=status, retry_after=wait)
        return RateLimitedError(f"the exchange answered HTTP {status}", wait, status)


def _decoded(body: bytes, kind: type[T]) -> T | None:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _session(*, trust_environment: bool) -> requests.Session:
    session = requests.Session()
    session.trust_env = trust_environment
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))  # no state shared between threads
    adapter = HTTPAdapter(max_retries=0, pool_maxsize=8)
    session.mount("http://", adapter)
    session.mount("https://", adapter)
    return session


def _cause(error: requests.RequestException) -> str:
    """The innermost reason: ``requests`` wraps it in a page of text."""
    inner: object = error.args[0] if error.args else error
    inner = getattr(inner, "reason", None) or inner
    return f"{type(error).__name__}: {str(inner).rsplit(': ', 1)[-1]}"[:200]
