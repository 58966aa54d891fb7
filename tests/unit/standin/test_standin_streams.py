"""The WebSocket side: addresses, payloads byte for byte, control messages, pings, deadlines and limits."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from decimal import Decimal

import aiohttp
import pytest
import websockets

from include.market.standin import Limits, StandInExchange
from tests.unit.standin.streaming import ask, closing, connect, read, until

TRADE_KEYS = ["e", "E", "s", "t", "p", "q", "T", "m", "M"]


async def test_a_trade_is_sent_byte_for_byte_as_the_exchange_does(open_exchange):
    exchange = await open_exchange(rate=50)
    async with connect(exchange, "/ws/btcusdt@trade") as socket:
        await exchange.advance(1)
        raw = await socket.recv()
        trade = exchange.trades("BTCUSDT")[0]
        assert raw == (
            f'{{"e":"trade","E":1700000001000,"s":"BTCUSDT","t":{trade.id},"p":"{trade.price:.8f}","q":"{trade.qty:.8f}",'
            f'"T":{trade.time_ms},"m":{"true" if trade.buyer_maker else "false"},"M":true}}'
        )
        assert list(json.loads(raw)) == TRADE_KEYS


@pytest.mark.parametrize(
    ("path", "streams", "is_combined"),
    [
        ("/ws/btcusdt@trade", {"btcusdt@trade"}, False),
        ("/ws/btcusdt@trade/ethusdt@trade", {"btcusdt@trade", "ethusdt@trade"}, False),
        ("/stream?streams=btcusdt@trade", {"btcusdt@trade"}, True),
        ("/stream?streams=btcusdt@trade/ethusdt@aggTrade", {"btcusdt@trade", "ethusdt@aggTrade"}, True),
        ("/ws", set(), False),
        ("/ws/", set(), False),
        ("/stream", set(), True),
        ("/ws/BTCUSDT@trade", set(), False),  # stream names are lower case
        ("/ws/nothing@trade", set(), False),
    ],
)
async def test_the_address_chooses_streams_and_wrapping(open_exchange, path: str, streams: set[str], is_combined: bool):
    exchange = await open_exchange(rate=100)
    async with connect(exchange, path) as socket:
        await exchange.advance(1)
        events = await read(socket, sum(_count(exchange, name) for name in streams))
        if is_combined:
            assert {event["stream"] for event in events} == streams
            assert all(list(event) == ["stream", "data"] for event in events)
        else:
            assert {f"{event['s'].lower()}@{event['e']}" for event in events} == streams
        reply = await ask(socket, "GET_PROPERTY", "combined")
        assert reply == {"result": is_combined, "id": 1}, "no other event came before"


def _count(exchange: StandInExchange, stream: str) -> int:
    trades = exchange.trades(stream.partition("@")[0].upper())
    return len(trades) if stream.endswith("@trade") else len({t.aggregate_id for t in trades})


async def test_all_clients_get_every_trade_once_in_order_and_aggregates_match(open_exchange):
    exchange = await open_exchange(rate=2_000, symbols=("BTCUSDT",))
    async with (
        connect(exchange, "/ws/btcusdt@trade") as raw,
        connect(exchange, "/stream?streams=btcusdt@trade") as wrapped,
        connect(exchange, "/ws/btcusdt@aggTrade") as aggregate,
    ):
        for _ in range(20):
            await exchange.advance(0.05)
        truth = exchange.trades("BTCUSDT")
        events = await read(raw, len(truth))
        assert [e["data"] for e in await read(wrapped, len(truth))] == events
        assert [(e["t"], Decimal(e["p"]), Decimal(e["q"]), e["T"], e["m"]) for e in events] == [
            (t.id, t.price, t.qty, t.time_ms, t.buyer_maker) for t in truth
        ]
        assert all(e["T"] <= e["E"] for e in events)
        groups = defaultdict(list)
        for trade in truth:
            groups[trade.aggregate_id].append(trade)
        found = await read(aggregate, len(groups))
        assert list(found[0]) == ["e", "E", "s", "a", "p", "q", "f", "l", "T", "m", "M"]
        assert [(e["a"], Decimal(e["q"]), e["f"], e["l"]) for e in found] == [
            (key, sum(t.qty for t in group), group[0].id, group[-1].id) for key, group in groups.items()
        ]


async def test_control_messages_take_effect_on_the_running_connection(open_exchange):
    exchange = await open_exchange(rate=100)
    async with connect(exchange, "/ws") as socket:
        assert await ask(socket, "SUBSCRIBE", "btcusdt@trade") == {"result": None, "id": 1}
        await exchange.advance(1)
        first = exchange.trades("BTCUSDT")
        assert [e["t"] for e in await read(socket, len(first))] == [t.id for t in first]
        assert (await ask(socket, "SET_PROPERTY", "combined", True, request_id=7)) == {"result": None, "id": 7}
        await exchange.advance(1)
        more = exchange.trades("BTCUSDT")[len(first) :]
        assert [e["data"]["t"] for e in await read(socket, len(more))] == [t.id for t in more]
        assert await ask(socket, "UNSUBSCRIBE", "btcusdt@trade") == {"result": None, "id": 1}
        await exchange.advance(1)
        assert await ask(socket, "LIST_SUBSCRIPTIONS") == {"result": [], "id": 1}, "no trades in between"
        assert (await ask(socket, "DANCE"))["code"] == 2


async def test_microseconds_are_one_clients_choice(open_exchange):
    exchange = await open_exchange(rate=50)
    path = "/ws/btcusdt@trade"
    async with (
        connect(exchange, f"{path}?timeUnit=MICROSECOND") as fine,
        connect(exchange, f"{path}?timeUnit=millisecond") as plain,
    ):
        await exchange.advance(1)
        times = exchange.ledger.columns("BTCUSDT", 0, 10**12).time_us.tolist()
        assert [e["T"] for e in await read(fine, len(times))] == times
        assert [e["T"] for e in await read(plain, len(times))] == [t // 1000 for t in times]
    with pytest.raises(websockets.InvalidStatus) as refused:
        await websockets.connect(f"{exchange.stream_url}{path}?timeUnit=DAYS")
    assert refused.value.response.status_code == 400


async def test_pings_come_every_20_seconds_with_the_time_and_a_missing_pong_ends_the_connection(open_exchange, http):
    exchange = await open_exchange(rate=0)
    async with http.ws_connect(f"{exchange.stream_url}/ws", autoping=False) as socket:
        await exchange.advance(19.9)
        await exchange.advance(0.1)
        ping = await socket.receive(1)
        assert (ping.type, ping.data) == (aiohttp.WSMsgType.PING, b"1700000020000")
        await socket.pong(b"")  # unsolicited: it is no copy of the ping's payload
        await _messages(exchange, 1)
        assert exchange.streams.connections[0].snapshot()["unanswered_pings"] == 1
        await exchange.advance(20)
        assert (await socket.receive(1)).data == b"1700000040000"
        await socket.pong(b"1700000040000")  # answers the earlier one, too
        await _answered(exchange)
        await exchange.advance(60)
        assert (await socket.receive(1)).data == b"1700000100000"
        await exchange.advance(60)
        assert not socket.closed
        assert (await socket.receive(1)).type is aiohttp.WSMsgType.PING
        await exchange.advance(0.1)
        closed = await socket.receive(1)
        assert (closed.type, closed.data, closed.extra) == (aiohttp.WSMsgType.CLOSE, 1008, "Pong timeout")
    assert exchange.state()["closed_connections"] == {"pong_missing": 1}


async def _messages(exchange: StandInExchange, count: int) -> None:
    connection = exchange.streams.connections[0]
    await until(lambda: connection.received >= count)


async def _answered(exchange: StandInExchange) -> None:
    await until(lambda: not exchange.streams.connections[0].snapshot()["unanswered_pings"])


async def test_a_client_that_answers_is_kept_for_24_hours_and_no_longer(open_exchange):
    exchange = await open_exchange(rate=0)
    async with connect(exchange, "/ws/btcusdt@trade") as socket:
        for _ in range(4_319):
            await exchange.advance(20)
            await _answered(exchange)
        assert socket.state is websockets.State.OPEN
        await exchange.advance(20)
        assert await closing(socket) == (1001, "age limit")


@pytest.mark.parametrize("kind", ["control", "ping", "pong"])
async def test_more_than_five_messages_a_second_end_the_connection(open_exchange, kind: str):
    exchange = await open_exchange(rate=0)
    async with connect(exchange, "/ws") as socket:
        send = {
            "control": lambda: socket.send('{"method":"LIST_SUBSCRIPTIONS","id":1}'),
            "ping": socket.ping,
            "pong": socket.pong,
        }[kind]
        for _ in range(5):
            await send()
        await _messages(exchange, 5)
        await exchange.advance(1)
        for _ in range(5):
            await send()
        await _messages(exchange, 10)
        assert exchange.streams.connections, "five in each second are allowed"
        await send()
        assert await closing(socket) == (1008, "Too many requests")


async def test_repeated_floods_ban_the_address(open_exchange, get):
    exchange = await open_exchange(rate=0, limits=Limits(incoming_messages_per_second=0, floods_before_ban=1))
    async with connect(exchange, "/ws") as socket:
        await socket.ping()
        assert await closing(socket) == (1008, "Too many requests")
    assert (await get(exchange, "ping"))[0] == 418


async def test_no_more_than_1024_streams(open_exchange):
    exchange = await open_exchange(rate=0)
    names = [f"s{number}usdt@trade" for number in range(1_025)]
    async with connect(exchange, "/stream?streams=" + "/".join(names[:1_024])) as socket:
        assert len((await ask(socket, "LIST_SUBSCRIPTIONS"))["result"]) == 1_024
        assert (await ask(socket, "SUBSCRIBE", names[-1]))["code"] == 2
        assert (await ask(socket, "SUBSCRIBE", names[0]))["result"] is None, "it is subscribed already"
    with pytest.raises(websockets.InvalidStatus):
        await websockets.connect(exchange.stream_url + "/stream?streams=" + "/".join(names))


async def test_too_many_connection_attempts_are_refused_with_retry_after(open_exchange):
    exchange = await open_exchange(rate=0, limits=Limits(connection_attempts=2))
    for _ in range(2):
        async with connect(exchange, "/ws"):
            pass
    with pytest.raises(websockets.InvalidStatus) as refused:
        await websockets.connect(exchange.stream_url + "/ws")
    response = refused.value.response
    assert (response.status_code, response.headers["Retry-After"]) == (429, "300")
    assert json.loads(response.body)["code"] == -1034
    await exchange.advance(300)
    async with connect(exchange, "/ws"):
        pass


async def test_the_shutdown_notice_comes_in_both_shapes(open_exchange, http):
    exchange = await open_exchange(rate=0)
    async with (
        connect(exchange, "/ws/btcusdt@trade") as raw,
        connect(exchange, "/stream?streams=btcusdt@trade") as wrapped,
    ):
        async with http.post(f"{exchange.control_url}/control/shutdown-notice") as answer:
            assert await answer.json() == {"connections": 2}
        event = {"e": "serverShutdown", "E": 1_700_000_000_000}
        assert await read(raw, 1) == [event]
        assert await read(wrapped, 1) == [{"stream": "!serverShutdown", "data": event}]


async def test_a_client_that_does_not_read_is_disconnected_instead_of_filling_the_memory(open_exchange):
    exchange = await open_exchange(rate=200_000, limits=Limits(unsent_bytes=2**20))
    reader, writer = await asyncio.open_connection("127.0.0.1", int(exchange.rest_url.rsplit(":", 1)[1]))
    writer.write(
        b"GET /ws/btcusdt@trade HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )
    await reader.readuntil(b"\r\n\r\n")
    reader._transport.pause_reading()  # type: ignore[attr-defined]
    for _ in range(100):
        await exchange.advance(0.5)
        if exchange.streams.endings:
            break
    assert exchange.state()["closed_connections"] == {"slow_consumer": 1}
    writer.transport.abort()


async def test_candlestick_streams_update_every_two_seconds_and_close_at_the_end_of_the_interval(open_exchange, get):
    exchange = await open_exchange(rate=20)
    async with connect(exchange, "/ws/btcusdt@kline_1m") as socket:
        for _ in range(90):
            await exchange.advance(0.5)
        events = await read(socket, 23)
        closed = [e for e in events if e["k"]["x"]]
        assert [e["E"] % 60_000 // 1000 for e in events[:3]] == [20, 22, 24]
        assert len(closed) == 1
        assert list(events[0]) == ["e", "E", "s", "k"]
        assert list(events[0]["k"]) == [*"tTsifLochlvnxqVQB"]
        k = closed[0]["k"]
        row = (await get(exchange, "klines?symbol=BTCUSDT&interval=1m"))[1][0]
        assert row == [k["t"], k["o"], k["h"], k["l"], k["c"], k["v"], k["T"], k["q"], k["n"], k["V"], k["Q"], k["B"]]
        truth = [t for t in exchange.trades("BTCUSDT") if t.time_ms <= k["T"]]
        assert (k["f"], k["L"], k["n"]) == (truth[0].id, truth[-1].id, len(truth))


async def test_ticker_streams_agree_with_rest(open_exchange, get):
    exchange = await open_exchange(rate=20)
    async with connect(exchange, "/ws/btcusdt@miniTicker") as mini, connect(exchange, "/ws/btcusdt@bookTicker") as book:
        await exchange.advance(0.9)
        await read(mini, 1)
        await exchange.advance(1.1)
        event = (await read(mini, 1))[0]
        day = (await get(exchange, "ticker/24hr?symbol=BTCUSDT&type=MINI"))[1]
        assert event == {
            "e": "24hrMiniTicker",
            "E": 1_700_000_002_000,
            "s": "BTCUSDT",
            "c": day["lastPrice"],
            "o": day["openPrice"],
            "h": day["highPrice"],
            "l": day["lowPrice"],
            "v": day["volume"],
            "q": day["quoteVolume"],
        }
        best = (await get(exchange, "ticker/bookTicker?symbol=BTCUSDT"))[1]
        quote = (await read(book, 2))[1]
        exchange.faults.set(quiet=True)
        await exchange.advance(1)
        assert (await ask(book, "LIST_SUBSCRIPTIONS"))["id"] == 1, "no event without a change"
        assert list(quote) == [*"usbBaA"]
        assert [quote["b"], quote["B"], quote["a"], quote["A"]] == [
            best["bidPrice"], best["bidQty"], best["askPrice"], best["askQty"]
        ]  # fmt: skip
