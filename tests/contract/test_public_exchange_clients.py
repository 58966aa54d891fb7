"""A public client of the real exchange (PyPI ``binance-connector``) works with the stand-in exchange unchanged."""

from __future__ import annotations

import asyncio
import json
import queue
import threading
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest
from binance.error import ClientError, ServerError
from binance.spot import Spot
from binance.websocket.spot.websocket_stream import SpotWebsocketStreamClient

from include.market.standin import ScaledClock, StandInConfig, StandInExchange


class RunningExchange:
    """An exchange in a thread of its own: the public client blocks."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.exchange = self.call(self._start)

    async def _start(self) -> StandInExchange:
        clock = ScaledClock()
        exchange = StandInExchange(StandInConfig(rate=5_000), clock)
        clock.advance(2)  # there are 10,000 trades already
        await exchange.start()
        await exchange.settle()
        return exchange

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Run in the exchange's thread: a coroutine function, or a plain one."""

        async def run() -> Any:
            result = function(*arguments)
            return await result if asyncio.iscoroutine(result) else result

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(5)

    def truth(self, symbol: str) -> dict[int, tuple[Any, ...]]:
        trades = self.call(self.exchange.trades, symbol)
        return {t.id: (t.price, t.qty, t.time_ms, t.buyer_maker) for t in trades}

    def close(self) -> None:
        self.call(self.exchange.stop)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)


@pytest.fixture(scope="module")
def running() -> Iterator[RunningExchange]:
    running = RunningExchange()
    yield running
    running.close()


@pytest.fixture
def client(running: RunningExchange) -> Iterator[Spot]:
    yield Spot(api_key="none is checked", base_url=running.exchange.rest_url, timeout=5)
    running.call(running.exchange.faults.clear)
    running.call(running.exchange.accounting.clear)


def row(trade: dict[str, Any]) -> tuple[Any, ...]:
    return Decimal(trade["price"]), Decimal(trade["qty"]), trade["time"], trade["isBuyerMaker"]


def test_general_endpoints(running: RunningExchange, client: Spot):
    assert client.ping() == {}
    assert abs(client.time()["serverTime"] - running.exchange.clock.time_ms()) < 5_000
    symbols = client.exchange_info()["symbols"]
    assert [(s["symbol"], s["status"]) for s in symbols] == [("BTCUSDT", "TRADING"), ("ETHUSDT", "TRADING")]
    assert [s["symbol"] for s in client.exchange_info(symbols=["ETHUSDT"])["symbols"]] == ["ETHUSDT"]


def test_trades_by_every_road_are_those_of_the_ledger(running: RunningExchange, client: Spot):
    oldest = client.historical_trades("BTCUSDT", fromId=0, limit=50)
    newest = client.trades("BTCUSDT", limit=20)
    aggregates = client.agg_trades("BTCUSDT", fromId=0, limit=30)
    truth = running.truth("BTCUSDT")
    assert {t["id"]: row(t) for t in oldest} == dict(list(truth.items())[:50])
    assert all(truth[t["id"]] == row(t) for t in newest)
    assert len(newest) == 20
    for aggregate in aggregates:
        members = [truth[trade_id] for trade_id in range(aggregate["f"], aggregate["l"] + 1)]
        assert {m[0] for m in members} == {Decimal(aggregate["p"])}
        assert sum(m[1] for m in members) == Decimal(aggregate["q"])
        assert {(m[2], m[3]) for m in members} == {(aggregate["T"], aggregate["m"])}


def test_candlesticks_and_tickers(client: Spot):
    candles = client.klines("BTCUSDT", "1m", limit=5)
    assert all(len(candle) == 12 for candle in candles)
    last = Decimal(client.ticker_price("BTCUSDT")["price"])
    book = client.book_ticker("BTCUSDT")
    assert abs(Decimal(book["bidPrice"]) - last) < last / 100
    assert [t["symbol"] for t in client.ticker_price()] == ["BTCUSDT", "ETHUSDT"]
    assert [t["symbol"] for t in client.book_ticker(symbols=["ETHUSDT"])] == ["ETHUSDT"]
    day = client.ticker_24hr("BTCUSDT")
    assert day["count"] == day["lastId"] - day["firstId"] + 1 > 0
    assert client.avg_price("BTCUSDT")["mins"] == 5
    assert len(client.depth("BTCUSDT", limit=7)["asks"]) == 7


@pytest.mark.parametrize(
    ("ask", "status", "code"),
    [
        (lambda client: client.trades("NOPE"), 400, -1121),
        (lambda client: client.klines("BTCUSDT", "7m"), 400, -1120),
        (lambda client: client.agg_trades("BTCUSDT", fromId="x"), 400, -1100),
        (lambda client: client.trades("BTCUSDT", colour="red"), 400, -1104),
    ],
)
def test_errors_are_the_clients_own_error_class(client: Spot, ask: Callable[[Spot], Any], status: int, code: int):
    with pytest.raises(ClientError) as refused:
        ask(client)
    assert (refused.value.status_code, refused.value.error_code) == (status, code)


def test_bans_and_outages_are_understood(running: RunningExchange, client: Spot):
    running.call(lambda: running.exchange.faults.set(ban_seconds=60))
    with pytest.raises(ClientError) as banned:
        client.time()
    assert (banned.value.status_code, banned.value.error_code) == (418, -1003)
    assert 0 < int(banned.value.header["Retry-After"]) <= 60
    running.call(running.exchange.faults.clear)
    running.call(lambda: running.exchange.faults.set(rest_status=503))
    with pytest.raises(ServerError) as down:
        client.time()
    assert down.value.status_code == 503


def test_the_used_weight_is_shown(running: RunningExchange):
    client = Spot(base_url=running.exchange.rest_url, show_limit_usage=True)
    before = int(client.ping()["limit_usage"]["x-mbx-used-weight-1m"])
    after = int(client.exchange_info()["limit_usage"]["x-mbx-used-weight-1m"])
    assert after - before == 20 or after == 20, "a new minute begins at 0"


@pytest.mark.parametrize("is_combined", [False, True])
def test_a_stream_subscription_delivers_every_trade_of_the_ledger(running: RunningExchange, is_combined: bool):
    messages: queue.Queue[Any] = queue.Queue()
    client = SpotWebsocketStreamClient(
        stream_url=running.exchange.stream_url,
        on_message=lambda _, text: messages.put(json.loads(text)),
        is_combined=is_combined,
    )
    try:
        client.trade("btcusdt", id=1)
        assert messages.get(timeout=5) == {"result": None, "id": 1}
        received = [messages.get(timeout=5) for _ in range(500)]
    finally:
        client.stop()
    events = [message["data"] if is_combined else message for message in received]
    ids = [event["t"] for event in events]
    assert ids == list(range(ids[0], ids[0] + 500))
    truth = running.truth("BTCUSDT")
    assert [(Decimal(e["p"]), Decimal(e["q"]), e["T"], e["m"]) for e in events] == [truth[i] for i in ids]
