"""REST and stream clients against a server that says what the test tells it to."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest
from websockets.asyncio.server import Request, Response, ServerConnection, serve
from websockets.datastructures import Headers

from include.market.breaker import BreakerState
from include.market.errors import (
    EndpointError,
    NoEndpointError,
    RateLimitedError,
    RequestRefusedError,
    StreamClosedError,
)
from include.market.rest import RestClient
from include.market.stream import StreamConnection
from include.runtime.clock import ManualClock

ROWS = b'[{"id":7,"price":"1.5","qty":"2","quoteQty":"3","time":5,"isBuyerMaker":false,"isBestMatch":true}]'
AGGREGATES = b'[{"a":3,"p":"1","q":"1","f":100,"l":105,"T":1,"m":true,"M":true}]'


class Host:
    """A REST host: ``answer`` is (status, headers, body), ``requests`` what it was asked."""

    def __init__(self) -> None:
        self.answer: tuple[int, dict[str, str], bytes] = (200, {}, b"[]")
        self.requests: list[str] = []
        host = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                host.requests.append(self.path)
                status, headers, body = host.answer
                self.send_response(status)
                for name, value in {"Content-Length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def hosts() -> Iterator[tuple[Host, Host]]:
    pair = (Host(), Host())
    yield pair
    for host in pair:
        host.close()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(now_ms=1_700_000_040_000)  # a full minute


@pytest.fixture
def client(hosts: tuple[Host, Host], clock: ManualClock) -> Iterator[RestClient]:
    client = RestClient([host.url for host in hosts], clock, timeouts=(1, 1))
    yield client
    client.close()


def test_trades_from_an_id(hosts: tuple[Host, Host], client: RestClient) -> None:
    hosts[0].answer = (200, {"X-MBX-USED-WEIGHT-1M": "321"}, ROWS)
    (row,) = client.trades_from("BTCUSDT", 7, limit=10)
    assert (row.trade_id, row.price, row.quantity) == (7, "1.5", "2")
    parts = urlsplit(hosts[0].requests[0])
    assert parts.path == "/api/v3/historicalTrades"
    assert parse_qs(parts.query) == {"symbol": ["BTCUSDT"], "fromId": ["7"], "limit": ["10"]}
    assert client.budget.used == 321
    assert hosts[1].requests == []


def test_the_oracle_gives_the_newest_trade_id(hosts: tuple[Host, Host], client: RestClient) -> None:
    hosts[0].answer = (200, {}, AGGREGATES)
    assert client.newest_trade_id("BTCUSDT") == 105
    hosts[0].answer = (200, {}, b"[]")
    assert client.newest_trade_id("BTCUSDT") is None


def test_exchange_info_sets_the_weight_limit(hosts: tuple[Host, Host], client: RestClient) -> None:
    limit = b'{"rateLimitType":"REQUEST_WEIGHT","interval":"MINUTE","intervalNum":1,"limit":77}'
    hosts[0].answer = (200, {}, b'{"rateLimits":[%s],"symbols":[]}' % limit)
    client.exchange_info(["BTCUSDT"])
    assert client.budget.limit == 77
    assert parse_qs(urlsplit(hosts[0].requests[0]).query) == {"symbols": ['["BTCUSDT"]']}


@pytest.mark.parametrize(
    "broken",
    [
        (500, {}, b""),
        (503, {}, b"<html>"),
        (404, {}, b"<html>"),
        (451, {}, b"{}"),
        (200, {}, b"<html>"),
        (200, {}, b'[{"id":"7"}]'),
        (200, {}, b'{"unexpected":1}'),
        (200, {}, ROWS.replace(b"1.5", b"1.\xff")),
        (200, {}, b'[{"unexpected":' + b"[" * 100_000),
    ],
)
def test_a_broken_endpoint_is_passed_over_and_after_three_failures_left_alone(
    broken: tuple[int, dict[str, str], bytes], hosts: tuple[Host, Host], client: RestClient, clock: ManualClock
) -> None:
    hosts[0].answer, hosts[1].answer = broken, (200, {}, ROWS)
    for _ in range(5):
        assert len(client.trades_from("BTCUSDT", 7)) == 1
    assert (len(hosts[0].requests), len(hosts[1].requests)) == (3, 5)
    first, second = client.endpoints
    assert (first.breaker.state, second.breaker.state) == (BreakerState.OPEN, BreakerState.CLOSED)
    hosts[0].answer = (200, {}, ROWS)
    clock.advance(10)
    client.trades_from("BTCUSDT", 7)
    assert len(hosts[0].requests) == 4
    assert first.breaker.state is BreakerState.CLOSED


@pytest.mark.parametrize(
    "limit",
    [
        (429, {"Retry-After": "7"}, 7),
        (418, {"Retry-After": "240"}, 240),
        (429, {}, 60),
        (418, {"Retry-After": "soon"}, 120),
        (403, {}, 30),
    ],
)
def test_a_limit_is_waited_out_by_the_whole_process_and_no_other_host_is_tried(
    limit: tuple[int, dict[str, str], float], hosts: tuple[Host, Host], client: RestClient, clock: ManualClock
) -> None:
    status, headers, wait = limit
    hosts[0].answer = (status, headers, b'{"code":-1003,"msg":"Too much request weight used"}')
    with pytest.raises(RateLimitedError) as refused:
        client.trades_from("BTCUSDT", 7)
    assert (refused.value.status, refused.value.retry_after) == (status, wait)
    hosts[0].answer = (200, {}, AGGREGATES)
    clock.advance(wait - 0.5)
    with pytest.raises(RateLimitedError) as waiting:
        client.newest_trade_id("ETHUSDT")  # another call, another symbol
    assert waiting.value.status is None
    assert waiting.value.retry_after == pytest.approx(0.5)
    assert (len(hosts[0].requests), len(hosts[1].requests)) == (1, 0)
    clock.advance(0.5)
    assert client.newest_trade_id("ETHUSDT") == 105
    assert next(iter(client.endpoints)).breaker.state is BreakerState.CLOSED


def test_a_spent_budget_sends_nothing(hosts: tuple[Host, Host], client: RestClient, clock: ManualClock) -> None:
    client.budget.observe(4800)
    clock.advance(50)
    with pytest.raises(RateLimitedError) as refused:
        client.trades_from("BTCUSDT", 7)
    assert refused.value.retry_after == 10
    assert hosts[0].requests == []
    hosts[0].answer = (200, {}, AGGREGATES)
    assert client.newest_trade_id("BTCUSDT") == 105


def test_a_refusal_is_nobody_s_outage(hosts: tuple[Host, Host], client: RestClient) -> None:
    hosts[0].answer = (400, {}, b'{"code":-1121,"msg":"Invalid symbol."}')
    for _ in range(4):
        with pytest.raises(RequestRefusedError, match="Invalid symbol") as refused:
            client.trades_from("NOSUCH", 1)
    assert refused.value.code == -1121
    assert len(hosts[0].requests) == 4
    assert hosts[1].requests == []


def test_when_no_endpoint_answers_the_error_says_why_for_each(hosts: tuple[Host, Host], client: RestClient) -> None:
    hosts[0].answer = (502, {}, b"")
    hosts[1].close()
    with pytest.raises(NoEndpointError) as nobody:
        client.newest_trade_id("BTCUSDT")
    assert nobody.value.causes[hosts[0].url] == "HTTP 502"
    assert "refused" in nobody.value.causes[hosts[1].url]


Answer = Callable[[ServerConnection, Request], Response | None]


def refusing(status: int, headers: dict[str, str]) -> Answer:
    return lambda _connection, _request: Response(status, "no", Headers(headers), b"")


async def _two_frames(connection: ServerConnection) -> None:
    await connection.send('{"a":1}')
    await connection.send(b"\xff\xfe")


async def test_frames_are_handed_out_as_bytes_until_the_end() -> None:
    async with serve(_two_frames, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        connection = await StreamConnection.open(f"ws://127.0.0.1:{port}", ["BTCUSDT"])
        assert await connection.receive() == b'{"a":1}'
        assert await connection.receive() == b"\xff\xfe"
        with pytest.raises(StreamClosedError, match="1000"):
            await connection.receive()
        await connection.close()


@pytest.mark.parametrize(
    ("status", "headers", "error", "text"),
    [
        (429, {"Retry-After": "9"}, RateLimitedError, "9.0 s"),
        (418, {}, RateLimitedError, "120.0 s"),
        (503, {}, EndpointError, "HTTP 503"),
    ],
)
async def test_a_refused_handshake(status: int, headers: dict[str, str], error: type[Exception], text: str) -> None:
    async with serve(_two_frames, "127.0.0.1", 0, process_request=refusing(status, headers)) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(error, match=text):
            await StreamConnection.open(f"ws://127.0.0.1:{port}", ["BTCUSDT"])
    with pytest.raises(EndpointError, match=r"refused|failed"):
        await StreamConnection.open(f"ws://127.0.0.1:{port}", ["BTCUSDT"])
