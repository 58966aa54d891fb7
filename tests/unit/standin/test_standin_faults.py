"""Faults: what is refused, what clients see of each one, and that delivery faults never change the ledger."""

from __future__ import annotations

import asyncio
import json
from itertools import pairwise
from typing import Any

import aiohttp
import pytest
import websockets

from include.market.standin import FaultError, Faults, IdRange, StandInExchange
from include.market.standin.distortion import Distortion
from include.market.standin.faults import FaultBoard
from tests.unit.standin.streaming import ask, connect, read, until

NOW_US = 1_700_000_000_000_000


async def control(http: aiohttp.ClientSession, exchange: StandInExchange, method: str, path: str, body: Any = None):
    async with http.request(method, f"{exchange.control_url}/control/{path}", json=body) as answer:
        return answer.status, await answer.json()


# --- What is refused ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("faults", "words"),
    [
        ({"drop_rato": 0.1}, "no such fault: drop_rato (did you mean drop_ratio?); there are connections, "),
        ({"drop_ratio": 1.5}, "drop_ratio: received 1.5: Input should be less than or equal to 1. Share of trades"),
        ({"connections": "perhaps"}, "Input should be 'accept', 'refuse', 'reset' or 'tls'"),
        ({"rest_status": 200}, "rest_status: received 200: Input should be greater than or equal to 400"),
        ({"silent": "perhaps"}, "silent: received 'perhaps'"),
        ({"burst": 0}, "burst: received 0: Input should be greater than 0"),
        ({"rate": -1}, "rate: received -1"),
        ({"drop_ids": [{"symbol": "BTCUSDT", "first": 1}]}, "drop_ids.0.last"),
        ({"drop_ids": [{"symbol": "NOPE", "first": 1, "last": 2}]}, "NOPE; this exchange has BTCUSDT, ETHUSDT"),
        ({"symbol_status": {"BTCUSDT": "ASLEEP"}}, "received 'ASLEEP': Input should be 'TRADING'"),
        ({"symbol_status": {"NOPE": "HALT"}}, "no such symbol: NOPE"),
    ],
)  # fmt: skip
async def test_an_unknown_fault_or_value_is_refused_with_what_is_allowed(open_exchange, http, faults, words: str):
    exchange = await open_exchange()
    exchange.faults.set(silent=True)
    status, body = await control(http, exchange, "POST", "faults", faults)
    assert status == 400
    assert words in body["error"]
    assert exchange.faults.current == Faults(silent=True), "and changes nothing"


async def test_faults_are_set_one_by_one_shown_and_cleared(open_exchange, http):
    exchange = await open_exchange()
    assert (await control(http, exchange, "POST", "faults", {"drop_ratio": 0.5}))[1] == {"active": {"drop_ratio": 0.5}}
    both = {"active": {"drop_ratio": 0.5, "silent": True}}
    assert (await control(http, exchange, "POST", "faults", {"silent": True}))[1] == both
    shown = (await control(http, exchange, "GET", "faults"))[1]
    assert shown["active"] == both["active"]
    assert shown["available"].keys() == Faults.model_fields.keys()
    assert all(shown["available"].values()), "every fault is described"
    assert (await control(http, exchange, "DELETE", "faults?name=silent"))[1] == {"active": {"drop_ratio": 0.5}}
    assert (await control(http, exchange, "DELETE", "faults?name=silence"))[0] == 400
    assert (await control(http, exchange, "DELETE", "faults"))[1] == {"active": {}}
    assert (await control(http, exchange, "POST", "faults", [1]))[0] == 400


def test_a_replay_has_no_rate_to_change():
    board = FaultBoard(("BTCUSDT",), lambda faults: None, replay=True)
    with pytest.raises(FaultError, match="use burst"):
        board.set(rate=5.0)


# --- Which trades are sent, and in which order --------------------------------------------------------------------


def plan(faults: Faults, ticks: int = 50, per_tick: int = 20, seed: int = 1) -> list[int]:
    distortion = Distortion(seed, "BTCUSDT", "trade")
    sent: list[int] = []
    for tick in range(ticks):
        sent += distortion.plan(tick * per_tick, (tick + 1) * per_tick, faults, NOW_US + tick * 1_000_000)
    return sent


def test_without_faults_every_trade_is_sent_once_in_order():
    assert plan(Faults()) == list(range(1_000))


def test_dropped_trades_are_missing_and_the_rest_stays_in_order():
    sent = plan(Faults(drop_ratio=0.1))
    assert sent == sorted(set(sent))
    assert 860 < len(sent) < 940
    ranges = Faults(drop_ids=(IdRange(symbol="BTCUSDT", first=5, last=7), IdRange(symbol="ETHUSDT", first=20, last=30)))
    assert plan(ranges) == [i for i in range(1_000) if i not in (5, 6, 7)]


def test_duplicates_follow_their_original():
    sent = plan(Faults(duplicate_ratio=0.1))
    assert sorted(set(sent)) == list(range(1_000))
    assert sent == sorted(sent)
    assert 1_060 < len(sent) < 1_140


@pytest.mark.parametrize("per_tick", [1, 20], ids=["one trade a tick", "many"])
def test_reordered_trades_change_places_with_the_next_one(per_tick: int):
    sent = plan(Faults(reorder_ratio=0.2), ticks=1_000 // per_tick, per_tick=per_tick)
    assert sent != sorted(sent)
    assert 150 < sum(a > b for a, b in pairwise(sent)) < 220
    assert all(abs(position - item) <= 1 for position, item in enumerate(sent))


def test_a_trade_that_waits_for_the_next_one_is_not_lost_when_the_fault_ends():
    distortion = Distortion(1, "BTCUSDT", "trade")
    assert list(distortion.plan(0, 1, Faults(reorder_ratio=1), NOW_US)) == []
    assert list(distortion.plan(1, 3, Faults(), NOW_US)) == [1, 0, 2]


def test_late_trades_come_after_their_delay_and_none_is_lost():
    sent = plan(Faults(late_ratio=0.1, late_seconds=3))
    distances = [position - item for position, item in enumerate(sent)]
    assert max(distances) > 40, "three ticks later"
    assert len(sent) == len(set(sent)) > 950
    distortion = Distortion(1, "BTCUSDT", "trade")
    first = list(distortion.plan(0, 100, Faults(late_ratio=1, late_seconds=3), NOW_US))
    assert first == []
    assert list(distortion.plan(100, 100, Faults(), NOW_US + 2_999_999)) == []
    assert list(distortion.plan(100, 101, Faults(), NOW_US + 3_000_000)) == list(range(101)), (
        "also once the fault is off"
    )


def test_a_ratio_hits_the_same_trades_for_the_same_seed_however_the_ticks_fall():
    faults = Faults(drop_ratio=0.1, duplicate_ratio=0.1)
    assert plan(faults) == plan(faults, ticks=10, per_tick=100)
    assert plan(faults) != plan(faults, seed=2)


# --- What clients see --------------------------------------------------------------------------------------------


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


@pytest.mark.parametrize(("how", "received"), [("reset", None), ("close", 1001)])
async def test_all_streams_can_be_ended_by_reset_or_close(open_exchange, http, how: str, received: int | None):
    exchange = await open_exchange(rate=0)
    async with connect(exchange, "/ws/btcusdt@trade") as socket:
        assert (await control(http, exchange, "POST", "disconnect", {"how": how}))[1] == {"connections": 1}
        with pytest.raises(websockets.ConnectionClosed) as closed:
            await asyncio.wait_for(socket.recv(), 2)
        assert (closed.value.rcvd.code if closed.value.rcvd else None) == received
    assert (await control(http, exchange, "POST", "disconnect", {"how": "softly"}))[0] == 400


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


# --- The rest of the control endpoint ----------------------------------------------------------------------------


async def test_the_ledger_is_open_to_tests_as_ground_truth(open_exchange, http):
    exchange = await open_exchange(rate=100)
    await exchange.advance(2)
    truth = exchange.trades("BTCUSDT")
    status, body = await control(http, exchange, "GET", "ledger?symbol=BTCUSDT")
    assert (status, body["first_id"], body["next_id"]) == (200, truth[0].id, truth[-1].id + 1)
    assert [t["id"] for t in body["trades"]] == [t.id for t in truth]
    part = (await control(http, exchange, "GET", f"ledger?symbol=BTCUSDT&from={truth[3].id}&to={truth[5].id}"))[1]
    assert part["trades"] == body["trades"][3:6]
    assert (await control(http, exchange, "GET", "ledger?symbol=NOPE"))[0] == 400
    assert (await control(http, exchange, "GET", "ledger?symbol=BTCUSDT&from=x"))[0] == 400


async def test_any_text_can_be_put_into_a_stream(open_exchange, http):
    exchange = await open_exchange(rate=0)
    body = {"stream": "btcusdt@trade", "text": '{"e":"surprise"}'}
    async with (
        connect(exchange, "/ws/btcusdt@trade") as raw,
        connect(exchange, "/stream?streams=btcusdt@trade") as wrapped,
    ):
        assert (await control(http, exchange, "POST", "inject", body))[1] == {"connections": 2}
        assert await read(raw, 1) == [{"e": "surprise"}]
        assert await read(wrapped, 1) == [{"stream": "btcusdt@trade", "data": {"e": "surprise"}}]
    assert (await control(http, exchange, "POST", "inject", {"text": "x"}))[0] == 400


async def test_limits_can_be_reset_and_state_shows_what_is_going_on(open_exchange, http, get):
    exchange = await open_exchange(rate=100)
    await get(exchange, "exchangeInfo")
    async with connect(exchange, "/ws/btcusdt@trade"):
        await exchange.advance(1)
        state = (await control(http, exchange, "GET", "state"))[1]
        assert {"service": "exchange", "status": "running", "feed": "generated"}.items() <= state.items()
        assert state["addresses"]["127.0.0.1"]["used_weight"] == 20
        assert state["connections"][0]["streams"] == ["btcusdt@trade"]
        newest = exchange.trades("BTCUSDT")[-1]
        assert state["symbols"]["BTCUSDT"] == {
            "status": "TRADING",
            "first_id": exchange.ledger.first_id("BTCUSDT"),
            "next_id": newest.id + 1,
            "newest_event_time_ms": newest.time_ms,
        }
        assert (await control(http, exchange, "POST", "reset-limits"))[1] == {"addresses": {}}
    assert (await control(http, exchange, "POST", "clock", {"factor": 2}))[0] == 400, "this clock is the test's"
