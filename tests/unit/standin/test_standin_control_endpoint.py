"""The control endpoint: faults set, shown, cleared or refused; streams ended; the ledger, texts, limits and state."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest
import websockets

from include.market.standin import FaultError, Faults, StandInExchange
from include.market.standin.faults import FaultBoard
from tests.unit.standin.streaming import connect, read


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


# --- The rest of the control endpoint ----------------------------------------------------------------------------


@pytest.mark.parametrize(("how", "received"), [("reset", None), ("close", 1001)])
async def test_all_streams_can_be_ended_by_reset_or_close(open_exchange, http, how: str, received: int | None):
    exchange = await open_exchange(rate=0)
    async with connect(exchange, "/ws/btcusdt@trade") as socket:
        assert (await control(http, exchange, "POST", "disconnect", {"how": how}))[1] == {"connections": 1}
        with pytest.raises(websockets.ConnectionClosed) as closed:
            await asyncio.wait_for(socket.recv(), 2)
        assert (closed.value.rcvd.code if closed.value.rcvd else None) == received
    assert (await control(http, exchange, "POST", "disconnect", {"how": "softly"}))[0] == 400


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
