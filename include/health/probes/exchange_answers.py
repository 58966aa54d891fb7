"""One question to one endpoint of the exchange, and its answer in the words of probes."""

from __future__ import annotations

from collections.abc import Iterable
from http.cookiejar import DefaultCookiePolicy

import msgspec
import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import ProtocolError

from include.health.observations import Code
from include.market.endpoints import Call, is_loopback
from include.market.messages import AggregateTrade

_TIMEOUTS = (1.0, 1.5)  # to connect, to answer
_WEIGHT_HEADER = "X-MBX-USED-WEIGHT-1M"
_LIMITED = {429: Code.RATE_LIMITED, 418: Code.BANNED, 403: Code.RATE_LIMITED}  # 403 is the firewall
_WAIT_WITHOUT_HEADER = {429: 60.0, 418: 120.0, 403: 30.0}
_OTHER_FAMILY = (404, 451)  # not offered here, not from this place: another family may answer


class Answer(msgspec.Struct, frozen=True):
    """``trade_id`` is set with ``OK``, unless the symbol never traded; ``wait`` with the two limits (seconds)."""

    code: Code
    text: str = ""
    trade_id: int | None = None
    status: int | None = None
    weight_used: int | None = None
    wait: float = 0.0


class ExchangeLine:
    """Persistent connections to the endpoints. Nothing is retried here."""

    def __init__(self, urls: Iterable[str], timeouts: tuple[float, float] = _TIMEOUTS) -> None:
        self._timeouts = timeouts
        self._session = requests.Session()
        self._session.trust_env = not all(is_loopback(url) for url in urls)  # a proxy, where there is one
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, HTTPAdapter(max_retries=0, pool_maxsize=1))

    def newest_trade(self, url: str, symbol: str) -> Answer:
        """Id of the newest trade of ``symbol`` according to the endpoint at ``url``."""
        try:
            response = self._session.get(
                url + Call.AGGREGATE_TRADES.value, params={"symbol": symbol, "limit": "1"}, timeout=self._timeouts
            )
        except requests.RequestException as error:
            return _no_answer(error)
        used = response.headers.get(_WEIGHT_HEADER, "")
        return msgspec.structs.replace(_answer(response), weight_used=int(used) if used.isdecimal() else None)

    def close(self) -> None:
        """Close the connections."""
        self._session.close()


def _answer(response: requests.Response) -> Answer:
    status = response.status_code
    if status in _LIMITED:
        header = response.headers.get("Retry-After", "")
        wait = float(header) if header.isdecimal() else _WAIT_WITHOUT_HEADER[status]
        return Answer(_LIMITED[status], f"HTTP {status}", status=status, wait=wait)
    if status >= 500:
        return Answer(Code.SERVER_ERROR, f"HTTP {status}", status=status)
    if status in _OTHER_FAMILY:
        return Answer(Code.NOT_AVAILABLE, f"HTTP {status}", status=status)
    if status != 200:
        return Answer(Code.REFUSES, f"HTTP {status}", status=status)
    try:
        rows = msgspec.json.decode(response.content, type=list[AggregateTrade])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Answer(Code.UNKNOWN, "not the agreed JSON", status=status)
    return Answer(Code.OK, trade_id=rows[-1].last_trade_id if rows else None, status=status)


def _no_answer(error: requests.RequestException) -> Answer:
    """Whether nobody could be connected (refused, unreachable), or somebody was and did not answer."""
    if isinstance(error, requests.ConnectTimeout):
        return Answer(Code.UNREACHABLE, "no connection in time")
    if isinstance(error, requests.Timeout):
        return Answer(Code.TIMEOUT, "connected, no answer in time")
    causes = list(_causes(error))
    if any(isinstance(cause, ConnectionRefusedError) for cause in causes):
        return Answer(Code.REFUSED, "connection refused")
    if isinstance(error, requests.exceptions.SSLError):
        return Answer(Code.CONNECTIVITY, "no TLS session")
    connected = not isinstance(error, requests.ConnectionError) or any(isinstance(c, ProtocolError) for c in causes)
    kind = type(causes[-1]).__name__
    return Answer(Code.CONNECTIVITY if connected else Code.UNREACHABLE, f"connection failed ({kind})")


def _causes(error: BaseException) -> Iterable[BaseException]:
    """The error and what it wraps; ``requests`` and ``urllib3`` wrap in three ways."""
    seen: list[BaseException] = []
    found: object = error
    while isinstance(found, BaseException) and found not in seen:
        seen.append(found)
        inner = getattr(found, "reason", None) or (found.args[-1] if found.args else None)
        found = inner if isinstance(inner, BaseException) else found.__cause__ or found.__context__
    return seen
