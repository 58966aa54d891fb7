"""The table of REST endpoints: path, weight, answer."""

from __future__ import annotations

import json

from aiohttp import web

from include.market.standin.bars import Bars
from include.market.standin.context import Context
from include.market.standin.klines import Klines
from include.market.standin.rest_exchange import ExchangeAnswers
from include.market.standin.rest_market import MarketAnswers
from include.market.standin.rest_server import Endpoint, Weight
from include.market.standin.rest_trades import TradeAnswers
from include.market.standin.tickers import Tickers

_DEPTH_WEIGHTS = ((100, 5), (500, 25), (1000, 50))  # (levels up to, weight)
_DEEPEST_WEIGHT = 250


def endpoint_table(context: Context, klines: Klines, tickers: Tickers) -> list[Endpoint]:
    """All market data endpoints of the exchange's version 3."""
    exchange = ExchangeAnswers(context)
    trades = TradeAnswers(context.ledger)
    market = MarketAnswers(context, klines, tickers)
    rows: list[Endpoint] = [
        Endpoint("ping", fixed(1), exchange.ping),
        Endpoint("time", fixed(1), exchange.time),
        Endpoint("exchangeInfo", fixed(20), exchange.information),
        Endpoint("ticker/price", by_symbol(2, 4), market.price),
        Endpoint("ticker/bookTicker", by_symbol(2, 4), market.book_ticker),
        Endpoint("ticker/24hr", day_weight, market.day),
        Endpoint("avgPrice", fixed(2), market.average),
        Endpoint("trades", fixed(25), trades.recent),
        Endpoint("historicalTrades", fixed(25), trades.historical),
        Endpoint("aggTrades", fixed(4), trades.aggregate),
        Endpoint("klines", fixed(2), market.candlesticks),
        Endpoint("uiKlines", fixed(2), market.candlesticks),
        Endpoint("depth", depth_weight, market.depth),
    ]
    return rows


def views(context: Context) -> tuple[Klines, Tickers]:
    """Candlesticks and tickers that share their sums."""
    bars = Bars(context.ledger)
    return Klines(context.ledger, bars), Tickers(context.ledger, bars)


def fixed(weight: int) -> Weight:
    """The same weight for every query."""
    return lambda request: weight


def by_symbol(one: int, several: int) -> Weight:
    """``one`` for a single ``symbol``, else ``several``."""
    return lambda request: one if "symbol" in request.query else several


def day_weight(request: web.Request) -> int:
    """Weight of ``ticker/24hr``: 2 for up to 20 symbols, 40 for up to 100, 80 for more and for all."""
    if "symbol" in request.query:
        return 2
    try:
        count = len(json.loads(request.query["symbols"]))
    except (KeyError, ValueError, TypeError):
        return 80
    return 2 if count <= 20 else 40 if count <= 100 else 80


def depth_weight(request: web.Request) -> int:
    """Weight of ``depth`` by its limit."""
    limit = request.query.get("limit", "100")
    levels = int(limit) if limit.isdecimal() else 100
    return next((weight for most, weight in _DEPTH_WEIGHTS if levels <= most), _DEEPEST_WEIGHT)
