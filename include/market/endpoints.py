"""The exchange's endpoints in order of preference, what each offers, and a circuit breaker for each.

Hosts are changed on connection errors and 5xx only, never on 429 or 418: those limits count per IP address.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlsplit

from include.market.breaker import CircuitBreaker, Permission
from include.runtime.clock import Clock


class EndpointKind(StrEnum):
    """Transport and family of an endpoint."""

    REST = "rest"
    REST_DATA_ONLY = "rest_data_only"  # key-less market data: a shorter list of calls (faqs/market_data_only.md)
    STREAM = "stream"


class Call(StrEnum):
    """REST calls that are used, by path."""

    EXCHANGE_INFO = "/api/v3/exchangeInfo"
    AGGREGATE_TRADES = "/api/v3/aggTrades"
    RECENT_TRADES = "/api/v3/trades"
    HISTORICAL_TRADES = "/api/v3/historicalTrades"


_DATA_ONLY_HOST_PREFIX = "data-api."
_NOT_IN_DATA_ONLY = frozenset({Call.HISTORICAL_TRADES})


@dataclass(frozen=True)
class Endpoint:
    """One base URL (no trailing slash) with its breaker."""

    url: str
    kind: EndpointKind
    breaker: CircuitBreaker

    def offers(self, call: Call) -> bool:
        """Whether the endpoint's family has this call."""
        return self.kind is EndpointKind.REST or (
            self.kind is EndpointKind.REST_DATA_ONLY and call not in _NOT_IN_DATA_ONLY
        )

    def describe(self) -> dict[str, object]:
        """For ``/health``."""
        return {
            "url": self.url,
            "kind": self.kind.value,
            "breaker": self.breaker.state.value,
            "seconds_to_probe": round(self.breaker.seconds_to_probe(), 1),
        }


class EndpointLadder:
    """Endpoints in order of preference; the first whose breaker lets a call through is tried first."""

    def __init__(self, endpoints: Iterable[Endpoint]) -> None:
        self._endpoints = tuple(endpoints)

    def __iter__(self) -> Iterator[Endpoint]:
        return iter(self._endpoints)

    def candidates(self, call: Call | None = None) -> Iterator[tuple[Endpoint, Permission]]:
        """Each endpoint that offers ``call``, with its breaker's permission, asked for only when its turn comes.

        A granted permission must be answered with the breaker's ``succeed`` or ``fail``.
        """
        return ((e, e.breaker.ask()) for e in self._endpoints if call is None or e.offers(call))


def rest_ladder(urls: Iterable[str], clock: Clock) -> EndpointLadder:
    """REST endpoints; the family is known by the host name."""
    return EndpointLadder(Endpoint(u.rstrip("/"), _rest_kind(u), CircuitBreaker(clock)) for u in urls)


def stream_ladder(urls: Iterable[str], clock: Clock) -> EndpointLadder:
    """WebSocket endpoints. They open later and for less time than REST ones: the back-off already spaces attempts."""
    return EndpointLadder(
        Endpoint(u.rstrip("/"), EndpointKind.STREAM, CircuitBreaker(clock, 4, 5.0, 60.0)) for u in urls
    )


def _rest_kind(url: str) -> EndpointKind:
    host = urlsplit(url).hostname or ""
    return EndpointKind.REST_DATA_ONLY if host.startswith(_DATA_ONLY_HOST_PREFIX) else EndpointKind.REST


def is_loopback(url: str) -> bool:
    """Whether a URL points to this machine (no proxy must stand in between)."""
    host = urlsplit(url).hostname or ""
    return host in ("localhost", "::1") or host.startswith("127.")
