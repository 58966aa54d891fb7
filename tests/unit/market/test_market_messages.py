"""The exchange's messages as types."""

from __future__ import annotations

import msgspec
import pytest

from include.market.endpoints import Call, EndpointKind, is_loopback, rest_ladder
from include.market.messages import ExchangeInfo, RestTrade, TradeEvent, event_kind
from include.market.stream import trade_stream_url
from include.runtime.clock import ManualClock

ROW = b"""{"id":28457,"price":"4.00000100","qty":"12.00000000","quoteQty":"48.000012","time":1499865549590,
"isBuyerMaker":true,"isBestMatch":false}"""


def test_a_rest_row_becomes_the_stream_s_trade() -> None:
    event = msgspec.json.decode(ROW, type=RestTrade).as_event("BNBBTC")
    assert msgspec.json.decode(msgspec.json.encode(event)) == {
        "e": "trade",
        "E": 1499865549590,
        "s": "BNBBTC",
        "t": 28457,
        "p": "4.00000100",
        "q": "12.00000000",
        "T": 1499865549590,
        "m": True,
        "M": False,
    }
    assert list(msgspec.json.decode(msgspec.json.encode(event))) == ["e", "E", "s", "t", "p", "q", "T", "m", "M"]
    assert msgspec.json.decode(msgspec.json.encode(event), type=TradeEvent) == event


@pytest.mark.parametrize(
    ("frame", "kind"),
    [
        (b'{"e":"serverShutdown","E":1}', "serverShutdown"),
        (b'{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1}}', "serverShutdown"),
        (b'{"stream":"x@aggTrade","data":{"e":"aggTrade"}}', "aggTrade"),
        (b'{"result":null,"id":1}', None),
        (b'{"u":1,"s":"BTCUSDT","b":"1"}', None),  # bookTicker has no e
        (b'{"e":5}', None),
        (b"[1]", None),
        (b'{"data":[1]}', None),
    ],
)
def test_the_kind_of_an_event_in_either_shape(frame: bytes, kind: str | None) -> None:
    assert event_kind(frame) == kind


def test_the_weight_limit_is_read_from_exchange_info() -> None:
    body = b"""{"timezone":"UTC","rateLimits":[
        {"rateLimitType":"RAW_REQUESTS","interval":"MINUTE","intervalNum":5,"limit":300000},
        {"rateLimitType":"REQUEST_WEIGHT","interval":"DAY","intervalNum":1,"limit":9},
        {"rateLimitType":"REQUEST_WEIGHT","interval":"MINUTE","intervalNum":1,"limit":1234}],
        "symbols":[{"symbol":"BTCUSDT","status":"BREAK","filters":[]}]}"""
    info = msgspec.json.decode(body, type=ExchangeInfo)
    assert info.weight_per_minute() == 1234
    assert [(s.symbol, s.status) for s in info.symbols] == [("BTCUSDT", "BREAK")]
    assert ExchangeInfo().weight_per_minute() is None


def test_the_data_only_family_has_no_historical_trades() -> None:
    ladder = rest_ladder(["https://api.binance.com/", "https://data-api.binance.vision"], ManualClock())
    kinds = {endpoint.url: endpoint.kind for endpoint in ladder}
    assert kinds == {
        "https://api.binance.com": EndpointKind.REST,
        "https://data-api.binance.vision": EndpointKind.REST_DATA_ONLY,
    }
    assert [e.url for e, _ in ladder.candidates(Call.HISTORICAL_TRADES)] == ["https://api.binance.com"]
    assert len(list(ladder.candidates(Call.RECENT_TRADES))) == 2


def test_streams_are_named_in_the_url() -> None:
    url = trade_stream_url("wss://h:9443", ("BTCUSDT", "ETHUSDT"))
    assert url == "wss://h:9443/stream?streams=btcusdt@trade/ethusdt@trade"
    assert trade_stream_url("ws://h", ["A"] * 1024)
    for count in (0, 1025):
        with pytest.raises(ValueError, match="1024"):
            trade_stream_url("ws://h", ["A"] * count)


@pytest.mark.parametrize(
    ("url", "loopback"),
    [
        ("ws://127.0.0.1:1", True),
        ("http://localhost", True),
        ("http://[::1]:2", True),
        ("https://api.binance.com", False),
    ],
)
def test_no_proxy_stands_before_loopback(url: str, loopback: bool) -> None:
    assert is_loopback(url) is loopback
