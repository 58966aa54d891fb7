"""Faults: what clients see of each one, and that delivery faults never change the ledger."""

from __future__ import annotations

import asyncio
import json

import aiohttp
import pytest
import websockets

from tests.unit.standin.streaming import ask, connect, read, until


@pytest.mark.parametrize(
    ("fault", "check"),
    [
        ("malformed_ratio", lambda raw: raw.startswith('{"e":"trade"') and not raw.endswith("}")),
        ("wrong_type_ratio", lambda raw: isinstance(json.loads(raw)["p"], float)),
        ("null_price_ratio", lambda raw: json.loads(raw)["p"] is None),
        ("unknown_field_ratio", lambda raw: list(json.loads(raw))[-1] == "x_undocumented"),
    ],
)
async def test_a_share_of_the_frames_is_spoilt_the_same_for_all_and_the_ledger_is_not(open_exchange, fault, check):
    exchange = await open_exchange(rate=400, symbols=("BTCUSDT",))
    exchange.faults.set(**{fault: 0.25})
    async with connect(exchange, "/ws/btcusdt@trade") as one, connect(exchange, "/ws/btcusdt@trade") as two:
        await exchange.advance(1)
        truth = exchange.trades("BTCUSDT")
        frames = [await one.recv() for _ in truth]
        assert [await two.recv() for _ in truth] == frames
        plain = [f for f in frames if f.endswith('"M":true}') and isinstance(json.loads(f)["p"], str)]
        spoilt = [f for f in frames if f not in plain]
        assert 0.15 < len(spoilt) / len(frames) < 0.35
        assert all(check(f) for f in spoilt)
        assert [t.price for t in truth] == [
            t.price for t in exchange.ledger.columns("BTCUSDT", 0, 10**12).records("BTCUSDT")
        ]


async def test_dropped_trades_are_in_rest_and_late_ones_arrive_whole(open_exchange, get):
    exchange = await open_exchange(rate=100, symbols=("BTCUSDT",))
    async with connect(exchange, "/ws/btcusdt@trade") as socket:
        await exchange.advance(1)
        before = exchange.trades("BTCUSDT")
        await read(socket, len(before))
        hole = range(before[-1].id + 3, before[-1].id + 6)
        exchange.faults.set(drop_ids=[{"symbol": "BTCUSDT", "first": hole[0], "last": hole[-1]}])
        await exchange.advance(1)
        truth = exchange.trades("BTCUSDT")[len(before) :]
        events = await read(socket, len(truth) - 3)
        assert {t.id for t in truth} - {e["t"] for e in events} == set(hole)
        repaired = (await get(exchange, f"historicalTrades?symbol=BTCUSDT&fromId={hole[0]}&limit=3"))[1]
        assert [t["id"] for t in repaired] == list(hole)

        exchange.faults.clear()
        exchange.faults.set(late_ratio=1, late_seconds=5)
        held = len(exchange.trades("BTCUSDT"))
        await exchange.advance(1)
        exchange.faults.clear()
        await exchange.advance(5)
        late = exchange.trades("BTCUSDT")[held:]
        events = await read(socket, len(late))
        assert sorted(e["t"] for e in events) == [t.id for t in late]
        assert {e["t"]: e["T"] for e in events} == {t.id: t.time_ms for t in late}


async def test_a_silent_stream_still_pings_and_answers(open_exchange):
    exchange = await open_exchange(rate=100)
    async with connect(exchange, "/ws/btcusdt@trade") as socket:
        exchange.faults.set(silent=True)
        await exchange.advance(20)
        assert (await ask(socket, "LIST_SUBSCRIPTIONS"))["result"] == ["btcusdt@trade"], "no trade came before"
        await (await socket.ping())
        connection = exchange.streams.connections[0]
        await until(lambda: connection.received == 3)  # the control message, our ping, our pong


async def test_connections_can_fall_silent_while_new_ones_speak(open_exchange):
    exchange = await open_exchange(rate=100, symbols=("BTCUSDT",))
    async with connect(exchange, "/ws/btcusdt@trade") as old:
        exchange.faults.set(silent_open=True)
        await exchange.advance(0.5)
        missed = len(exchange.trades("BTCUSDT"))
        async with connect(exchange, "/ws/btcusdt@trade") as new:
            await exchange.advance(1)
            told = len(exchange.trades("BTCUSDT"))
            assert (await read(new, 1))[0]["t"] == exchange.trades("BTCUSDT")[missed].id
            assert 0 < missed < told
            exchange.faults.clear()
            await exchange.advance(1)
            assert (await read(old, 1))[0]["t"] == exchange.trades("BTCUSDT")[told].id


async def test_half_a_frame_and_then_nothing(open_exchange):
    exchange = await open_exchange(rate=100)
    exchange.faults.set(half_frame=True)
    async with connect(exchange, "/ws/btcusdt@trade") as socket:
        await exchange.advance(1)
        with pytest.raises(websockets.ConnectionClosedError) as cut:
            await asyncio.wait_for(socket.recv(), 2)
        assert cut.value.rcvd is None, "no close frame"


async def test_a_dripping_connection_gets_its_bytes_at_the_rate(open_exchange):
    exchange = await open_exchange(rate=100, symbols=("BTCUSDT",))
    exchange.faults.set(drip_bytes_per_second=100)
    async with connect(exchange, "/ws/btcusdt@trade") as socket:
        await exchange.advance(1)
        exchange.faults.set(quiet=True)
        await exchange.advance(1)  # 200 bytes in all: one frame of some 135 bytes, not two
        assert (await read(socket, 1))[0]["t"] == exchange.trades("BTCUSDT")[0].id
        await socket.send('{"method":"LIST_SUBSCRIPTIONS","id":9}')
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(socket.recv(), 0.05)
        exchange.faults.clear("drip_bytes_per_second")
        await exchange.advance(0.001)
        rest = exchange.trades("BTCUSDT")[1:]
        assert [e["t"] for e in await read(socket, len(rest))] == [t.id for t in rest], "whole frames, none lost"
        assert (await read(socket, 1))[0]["id"] == 9, "a reply waits its turn"


@pytest.mark.parametrize(
    ("acceptance", "error"),
    [
        ("refuse", aiohttp.ClientConnectorError),
        ("reset", aiohttp.ClientOSError),
        ("tls", aiohttp.ClientResponseError),
    ],
)
async def test_new_connections_fail_in_the_chosen_way_and_then_work_again(open_exchange, get, acceptance, error):
    exchange = await open_exchange()
    exchange.faults.set(connections=acceptance)
    await exchange.settle()
    with pytest.raises(error):
        await get(exchange, "ping")
    exchange.faults.clear()
    await exchange.settle()
    assert (await get(exchange, "ping"))[0] == 200


async def test_a_refused_handshake_has_its_status(open_exchange):
    exchange = await open_exchange()
    exchange.faults.set(stream_status=503)
    with pytest.raises(websockets.InvalidStatus) as refused:
        await websockets.connect(exchange.stream_url + "/ws/btcusdt@trade")
    assert refused.value.response.status_code == 503


@pytest.mark.parametrize(
    ("status", "code"), [(418, -1003), (429, -1003), (451, 0), (500, -1000), (503, -1008), (504, -1007)]
)
async def test_rest_can_be_made_to_fail_with_a_status(open_exchange, get, status: int, code: int):
    exchange = await open_exchange()
    exchange.faults.set(rest_status=status)
    answered, body, headers = await get(exchange, "time")
    assert (answered, body["code"]) == (status, code)
    assert ("Retry-After" in headers) == (status in (418, 429))


async def test_a_firewall_answers_in_html(open_exchange, http):
    exchange = await open_exchange()
    exchange.faults.set(rest_status=403)
    async with http.get(exchange.rest_url + "/api/v3/time") as answer:
        assert (answer.status, answer.content_type) == (403, "text/html")


async def test_a_ban_for_n_seconds_counts_down_on_the_exchanges_clock(open_exchange, get):
    exchange = await open_exchange()
    exchange.faults.set(ban_seconds=30)
    assert [(await get(exchange, "time"))[i] for i in (0,)] == [418]
    await exchange.advance(10)
    exchange.faults.set(silent=True)  # another change does not start it again
    status, body, headers = await get(exchange, "time")
    assert (status, headers["Retry-After"]) == (418, "20")
    assert "IP banned until 1700000030000" in body["msg"]
    with pytest.raises(websockets.InvalidStatus):
        await websockets.connect(exchange.stream_url + "/ws")
    await exchange.advance(20)
    assert (await get(exchange, "time"))[0] == 200


@pytest.mark.parametrize(("seconds", "status"), [(3, 200), (60, 504)])
async def test_a_hanging_request_is_answered_late_or_given_up_after_ten_seconds(open_exchange, get, seconds, status):
    exchange = await open_exchange()
    exchange.faults.set(rest_hang_seconds=seconds)
    asked = asyncio.create_task(get(exchange, "time"))
    await until(exchange.accounting.snapshot)
    await exchange.advance(min(seconds, 10) - 0.1)
    done, _ = await asyncio.wait({asked}, timeout=0.05)
    assert not done
    await exchange.advance(0.1)
    answered, body, _ = await asyncio.wait_for(asked, 2)
    assert answered == status
    assert status == 200 or body["code"] == -1007


async def test_a_skewed_clock_shows_in_server_time_and_event_time_but_not_in_trade_time(open_exchange, get):
    exchange = await open_exchange(rate=50)
    exchange.faults.set(clock_skew_ms=-90_000)
    async with connect(exchange, "/ws/btcusdt@trade") as socket:
        await exchange.advance(1)
        event = (await read(socket, 1))[0]
        assert event["E"] == 1_700_000_001_000 - 90_000
        assert event["T"] == exchange.trades("BTCUSDT")[0].time_ms > event["E"]
        assert (await get(exchange, "time"))[1] == {"serverTime": 1_700_000_001_000 - 90_000}


@pytest.mark.parametrize(
    ("faults", "bitcoin", "ether"),
    [
        ({}, 50, 50),
        ({"quiet": True}, 0, 0),
        ({"symbol_status": {"BTCUSDT": "HALT"}}, 0, 50),
        ({"symbol_status": {"ETHUSDT": "BREAK"}}, 50, 0),
        ({"burst": 10}, 500, 500),
        ({"rate": 20}, 10, 10),
        ({"rate": 20, "burst": 5}, 50, 50),
    ],
)
async def test_market_faults_act_on_the_ledger_and_ids_stay_consecutive(open_exchange, faults, bitcoin, ether):
    exchange = await open_exchange(rate=100)
    await exchange.advance(1)
    before = {symbol: exchange.ledger.next_id(symbol) for symbol in ("BTCUSDT", "ETHUSDT")}
    exchange.faults.set(**faults)
    await exchange.advance(1)
    grown = [exchange.ledger.next_id(symbol) - before[symbol] for symbol in before]
    assert grown == [pytest.approx(bitcoin, abs=5 if bitcoin else 0), pytest.approx(ether, abs=5 if ether else 0)]
    exchange.faults.clear()
    await exchange.advance(1)
    ids = [trade.id for trade in exchange.trades("BTCUSDT")]
    assert ids == list(range(ids[0], ids[0] + len(ids)))
