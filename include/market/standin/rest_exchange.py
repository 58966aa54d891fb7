"""REST answers about the exchange itself: ``ping``, ``time``, ``exchangeInfo``."""

from __future__ import annotations

from typing import Any

from include.market.standin.context import Context
from include.market.standin.faults import SymbolStatus
from include.market.standin.parameters import ApiError, Parameters
from include.market.standin.payloads import TimeUnit

_QUOTES = ("USDT", "USDC", "FDUSD", "TUSD", "BTC", "ETH", "BNB", "EUR", "TRY")


class ExchangeAnswers:
    """Server time, limits and symbols."""

    def __init__(self, context: Context) -> None:
        self._symbols, self._faults = context.ledger.symbols, context.faults
        self._clock, self._limits = context.clock, context.limits

    def ping(self, parameters: Parameters, unit: TimeUnit) -> dict[str, Any]:
        """``/api/v3/ping``."""
        parameters.check_all_read()
        return {}

    def time(self, parameters: Parameters, unit: TimeUnit) -> dict[str, int]:
        """``/api/v3/time``."""
        parameters.check_all_read()
        return {"serverTime": self._server_time(unit)}

    def information(self, parameters: Parameters, unit: TimeUnit) -> dict[str, Any]:
        """``/api/v3/exchangeInfo``."""
        names = parameters.symbols()
        status, permissions = parameters.text("symbolStatus"), parameters.text("permissions")
        parameters.text("showPermissionSets")
        parameters.check_all_read()
        if status is not None and status not in list(SymbolStatus):
            raise ApiError(-1122, "Invalid symbolStatus.")
        if names is not None and (status or permissions):
            raise ApiError(-1128, "Combination of optional parameters invalid.")
        listed = [s for s in names or self._symbols if status in (None, self._faults.current.status_of(s))]
        return {
            "timezone": "UTC",
            "serverTime": self._server_time(unit),
            "rateLimits": self._rate_limits(),
            "exchangeFilters": [],
            "symbols": [self._symbol(symbol) for symbol in listed],
        }

    def _server_time(self, unit: TimeUnit) -> int:
        return (self._clock.time_ms() + self._faults.current.clock_skew_ms) * TimeUnit.MILLISECOND // unit

    def _rate_limits(self) -> list[dict[str, Any]]:
        limits = self._limits
        return [
            _rate_limit("REQUEST_WEIGHT", 1, limits.request_weight_per_minute),
            _rate_limit("RAW_REQUESTS", 5, limits.raw_requests_per_five_minutes),
        ]

    def _symbol(self, symbol: str) -> dict[str, Any]:
        quote = next((q for q in _QUOTES if symbol.endswith(q) and symbol != q), symbol[-3:])
        return {
            "symbol": symbol,
            "status": self._faults.current.status_of(symbol),
            "baseAsset": symbol.removesuffix(quote),
            "baseAssetPrecision": 8,
            "quoteAsset": quote,
            "quotePrecision": 8,
            "quoteAssetPrecision": 8,
            "orderTypes": ["LIMIT", "MARKET"],
            "icebergAllowed": False,
            "isSpotTradingAllowed": True,
            "isMarginTradingAllowed": False,
            "filters": [
                {
                    "filterType": "PRICE_FILTER",
                    "minPrice": "0.01000000",
                    "maxPrice": "1000000.00000000",
                    "tickSize": "0.01000000",
                },
                {"filterType": "LOT_SIZE", "minQty": "0.00001000", "maxQty": "9000.00000000", "stepSize": "0.00001000"},
            ],
            "permissions": [],
            "permissionSets": [["SPOT"]],
            "defaultSelfTradePreventionMode": "NONE",
            "allowedSelfTradePreventionModes": ["NONE"],
        }


def _rate_limit(kind: str, minutes: int, limit: int) -> dict[str, Any]:
    return {"rateLimitType": kind, "interval": "MINUTE", "intervalNum": minutes, "limit": limit}
