"""The REST side over HTTP: weights, errors, and that every view tells of the same trades."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from include.market.standin import Limits, SymbolStatus
from include.market.standin.ledger import Pace

MINUTE = 60_000


@pytest.mark.parametrize(
    ("path", "weight"),
    [
        ("ping", 1),
        ("time", 1),
        ("exchangeInfo", 20),
        ("exchangeInfo?symbol=BTCUSDT", 20),
        ("ticker/price", 4),
        ("ticker/price?symbol=BTCUSDT", 2),
        ('ticker/price?symbols=["BTCUSDT","ETHUSDT"]', 4),
        ("ticker/bookTicker", 4),
        ("ticker/bookTicker?symbol=ETHUSDT", 2),
        ("ticker/24hr", 80),
        ("ticker/24hr?symbol=BTCUSDT", 2),
        ('ticker/24hr?symbols=["BTCUSDT","ETHUSDT"]', 2),
        ("avgPrice?symbol=BTCUSDT", 2),
        ("trades?symbol=BTCUSDT", 25),
        ("historicalTrades?symbol=BTCUSDT&fromId=1", 25),
        ("aggTrades?symbol=BTCUSDT", 4),
        ("klines?symbol=BTCUSDT&interval=1m", 2),
        ("uiKlines?symbol=BTCUSDT&interval=1h&timeZone=-3:30", 2),
        ("depth?symbol=BTCUSDT", 5),
        ("depth?symbol=BTCUSDT&limit=500", 25),
        ("depth?symbol=BTCUSDT&limit=1000", 50),
        ("depth?symbol=BTCUSDT&limit=5000", 250),
    ],
)
async def test_every_endpoint_answers_and_is_charged_its_weight(open_exchange, get, path: str, weight: int):
    exchange = await open_exchange(rate=100)
    await exchange.advance(3)
    status, body, headers = await get(exchange, path)
    assert status == 200, body
    assert headers["X-MBX-USED-WEIGHT-1M"] == headers["X-MBX-USED-WEIGHT"] == str(weight)


@pytest.mark.parametrize(
    ("path", "code", "words"),
    [
        ("trades?symbol=NOPE", -1121, "Invalid symbol."),
        ("trades?symbol=btcusdt", -1100, "Illegal characters found in parameter 'symbol'"),
        ("trades", -1102, "Mandatory parameter 'symbol' was not sent"),
        ("trades?symbol=", -1102, "Mandatory parameter 'symbol'"),
        ("trades?symbol=BTCUSDT&limit=many", -1100, "Illegal characters found in parameter 'limit'"),
        ("trades?symbol=BTCUSDT&limit=0", -1130, "'limit' is not valid"),
        ("trades?symbol=BTCUSDT&limit=", -1105, "Parameter 'limit' was empty"),
        ("trades?symbol=BTCUSDT&fromId=1", -1104, "read '1' parameter(s) but was sent '2'"),
        ("ping?x=1", -1104, "read '0' parameter(s) but was sent '1'"),
        ("historicalTrades?symbol=BTCUSDT&fromId=-1", -1100, "'fromId'"),
        ("aggTrades?symbol=BTCUSDT&fromId=1&startTime=1", -1128, "Combination of optional parameters invalid"),
        ("aggTrades?symbol=BTCUSDT&startTime=2&endTime=1", -1128, "Combination"),
        ("klines?symbol=BTCUSDT", -1102, "'interval'"),
        ("klines?symbol=BTCUSDT&interval=7m", -1120, "Invalid interval."),
        ("klines?symbol=BTCUSDT&interval=1m&timeZone=15:00", -1130, "'timeZone'"),
        ('ticker/price?symbols=["NOPE"]', -1121, "Invalid symbol."),
        ("ticker/price?symbols=BTCUSDT", -1100, "'symbols'"),
        ('ticker/price?symbols=["BTCUSDT","BTCUSDT"]', -1151, "present multiple times"),
        ('ticker/price?symbol=BTCUSDT&symbols=["ETHUSDT"]', -1128, "Combination"),
        ("ticker/price?symbol=BTCUSDT&symbolStatus=HALT", -1220, "status"),
        ("ticker/price?symbolStatus=ASLEEP", -1122, "symbolStatus"),
        ("ticker/24hr?symbol=BTCUSDT&type=HUGE", -1139, "ticker type"),
    ],
)
async def test_a_wrong_request_gets_the_exchanges_error(open_exchange, get, path, code, words):
    exchange = await open_exchange(rate=0)
    answer = await get(exchange, path)
    assert (answer[0], answer[1]["code"]) == (400, code)
    assert words in answer[1]["msg"]


async def test_429_becomes_418_with_retry_after_and_ends_by_the_clock(open_exchange, get):
    exchange = await open_exchange(limits=Limits(request_weight_per_minute=50, requests_before_ban=1))
    answers = [await get(exchange, "trades?symbol=BTCUSDT") for _ in range(4)]
    assert [status for status, _, _ in answers] == [200, 200, 429, 418]
    assert answers[2][1]["msg"].startswith(
        "Too much request weight used; current limit is 50 request weight per 1 MINUTE"
    )
    assert answers[2][2]["Retry-After"] == "40"
    assert answers[2][2]["X-MBX-USED-WEIGHT-1M"] == "75"
    until = 1_700_000_000_000 + 120_000
    assert answers[3][1] == {
        "code": -1003,
        "msg": f"Way too much request weight used; IP banned until {until}. "
        "Please use WebSocket Streams for live updates to avoid bans.",
    }
    assert answers[3][2]["Retry-After"] == "120"
    await exchange.advance(120)
    assert (await get(exchange, "ping"))[0] == 200


async def test_trades_historical_trades_and_aggregates_tell_of_the_same_ledger(open_exchange, get):
    exchange = await open_exchange(rate=400)
    await exchange.advance(2)
    exchange.ledger.set_pace(Pace(factor=5))
    await exchange.advance(2)
    truth = exchange.trades("BTCUSDT")

    pages, next_id = [], 0
    while page := (await get(exchange, f"historicalTrades?symbol=BTCUSDT&fromId={next_id}&limit=1000"))[1]:
        pages += page
        next_id = page[-1]["id"] + 1
    assert [(t["id"], Decimal(t["price"]), Decimal(t["qty"]), t["time"], t["isBuyerMaker"]) for t in pages] == [
        (t.id, t.price, t.qty, t.time_ms, t.buyer_maker) for t in truth
    ]
    assert all(Decimal(t["quoteQty"]) == Decimal(t["price"]) * Decimal(t["qty"]) for t in pages)
    assert (await get(exchange, "trades?symbol=BTCUSDT&limit=7"))[1] == pages[-7:]
    assert (await get(exchange, "historicalTrades?symbol=BTCUSDT"))[1] == pages[-500:]

    aggregates, next_id = [], 0
    while page := (await get(exchange, f"aggTrades?symbol=BTCUSDT&fromId={next_id}&limit=1000"))[1]:
        aggregates += page
        next_id = page[-1]["a"] + 1
    groups = defaultdict(list)
    for trade in truth:
        groups[trade.aggregate_id].append(trade)
    assert [(a["a"], Decimal(a["p"]), Decimal(a["q"]), a["f"], a["l"], a["T"], a["m"], a["M"]) for a in aggregates] == [
        (key, g[0].price, sum(t.qty for t in g), g[0].id, g[-1].id, g[0].time_ms, g[0].buyer_maker, True)
        for key, g in groups.items()
    ]
    assert (await get(exchange, "aggTrades?symbol=BTCUSDT&limit=1"))[1] == aggregates[-1:]
    assert len((await get(exchange, "historicalTrades?symbol=BTCUSDT&limit=5000"))[1]) == 1_000

    start, end = aggregates[20]["T"], aggregates[60]["T"]
    within = [a for a in aggregates if start <= a["T"] <= end]
    by_time = f"aggTrades?symbol=BTCUSDT&startTime={start}&endTime={end}"
    assert (await get(exchange, by_time))[1] == within, "both ends are included"
    assert (await get(exchange, f"{by_time}&limit=3"))[1] == within[:3]
    upto = [a for a in aggregates if a["T"] <= end]
    assert (await get(exchange, f"aggTrades?symbol=BTCUSDT&endTime={end}&limit=5"))[1] == upto[-5:]


@pytest.mark.parametrize(
    ("interval", "length"), [("1s", 1_000), ("1m", MINUTE), ("3m", 3 * MINUTE), ("1d", 1440 * MINUTE)]
)
async def test_candlesticks_sum_up_the_ledger_and_a_pause_is_flat(open_exchange, get, interval: str, length: int):
    exchange = await open_exchange(rate=20)
    await exchange.advance(50)
    early = (await get(exchange, f"klines?symbol=BTCUSDT&interval={interval}&limit=1000"))[1]
    exchange.faults.set(quiet=True)
    await exchange.advance(150)
    exchange.faults.clear()
    await exchange.advance(70)
    rows = (await get(exchange, f"klines?symbol=BTCUSDT&interval={interval}&limit=1000"))[1]
    truth = exchange.trades("BTCUSDT")
    assert [row[0] for row in rows] == list(range(rows[0][0], rows[-1][0] + 1, length))
    assert rows[0][0] == truth[0].time_ms // length * length
    close = None
    for row in rows:
        inside = [t for t in truth if row[0] <= t.time_ms < row[0] + length]
        prices = [t.price for t in inside] or [close]
        taken = [t for t in inside if not t.buyer_maker]
        assert [Decimal(value) for value in row[1:6]] == [
            prices[0],
            max(prices),
            min(prices),
            prices[-1],
            sum(t.qty for t in inside),
        ]
        assert (row[6], row[8], row[11]) == (row[0] + length - 1, len(inside), "0")
        assert Decimal(row[7]) == sum(t.price * t.qty for t in inside)
        assert [Decimal(row[9]), Decimal(row[10])] == [sum(t.qty for t in taken), sum(t.price * t.qty for t in taken)]
        close = prices[-1]
    assert len(rows) == 1 or rows[: len(early) - 1] == early[:-1], "closed candlesticks do not change"

    day = (await get(exchange, "ticker/24hr?symbol=BTCUSDT"))[1]
    assert (day["count"], day["firstId"], day["lastId"]) == (len(truth), truth[0].id, truth[-1].id)
    assert Decimal(day["volume"]) == sum(t.qty for t in truth)
    assert Decimal(day["priceChange"]) == truth[-1].price - truth[0].price


async def test_candlesticks_are_chosen_by_time_and_limit(open_exchange, get):
    exchange = await open_exchange(rate=20)
    for _ in range(10):
        await exchange.advance(60)
    path = "klines?symbol=BTCUSDT&interval=1m"
    openings = [row[0] for row in (await get(exchange, path))[1]]
    assert len(openings) == 11

    async def chosen(query: str) -> list[int]:
        return [openings.index(row[0]) for row in (await get(exchange, f"{path}&{query}"))[1]]

    assert await chosen("limit=2") == [9, 10]
    assert await chosen(f"startTime={openings[3]}&limit=2") == [3, 4]
    assert await chosen(f"startTime={openings[3] + 1}&endTime={openings[5]}") == [4, 5]
    assert await chosen(f"endTime={openings[5] - 1}&limit=2") == [3, 4]
    assert await chosen("endTime=5") == []


@pytest.mark.parametrize(
    ("interval", "zone", "opening"),
    [
        ("1d", "0", "2023-11-14T00:00"),
        ("1d", "8", "2023-11-14T16:00"),
        ("1d", "-3:30", "2023-11-14T03:30"),
        ("1h", "5:30", "2023-11-14T21:30"),
        ("1w", "0", "2023-11-13T00:00"),  # a Monday
        ("1M", "0", "2023-11-01T00:00"),
        ("1M", "-1:00", "2023-11-01T01:00"),
    ],
)
async def test_days_weeks_and_months_begin_in_the_time_zone_asked_for(open_exchange, get, interval, zone, opening):
    exchange = await open_exchange(rate=20)  # on 14 November 2023, 22:13:20
    await exchange.advance(1)
    row = (await get(exchange, f"klines?symbol=BTCUSDT&interval={interval}&timeZone={zone}"))[1][0]
    assert datetime.fromtimestamp(row[0] / 1000, UTC) == datetime.fromisoformat(opening + "+00:00")
    following = datetime.fromtimestamp((row[6] + 1) / 1000, UTC)
    assert following == datetime(2023, 12, 1, 1 if zone != "0" else 0, tzinfo=UTC) or interval != "1M"


async def test_the_24_hours_of_a_ticker_roll_and_leave_old_trades_behind(open_exchange, get):
    exchange = await open_exchange(rate=4)
    await exchange.advance(100)
    exchange.faults.set(quiet=True)
    await exchange.advance(86_400 - 50)
    recent = [t for t in exchange.trades("BTCUSDT") if t.time_ms > exchange.clock.time_ms() - 86_400_000]
    assert 0 < len(recent) < len(exchange.trades("BTCUSDT"))
    day = (await get(exchange, "ticker/24hr?symbol=BTCUSDT"))[1]
    assert (day["firstId"], day["count"]) == (recent[0].id, len(recent))
    assert Decimal(day["volume"]) == sum(t.qty for t in recent)


async def test_prices_of_the_moment_agree_with_the_last_trade(open_exchange, get):
    exchange = await open_exchange(rate=50)
    await exchange.advance(5)
    last = exchange.trades("ETHUSDT")[-1]
    price = (await get(exchange, "ticker/price?symbol=ETHUSDT"))[1]
    book = (await get(exchange, "ticker/bookTicker?symbol=ETHUSDT"))[1]
    depth = (await get(exchange, "depth?symbol=ETHUSDT&limit=3"))[1]
    average = (await get(exchange, "avgPrice?symbol=ETHUSDT"))[1]
    truth = exchange.trades("ETHUSDT")
    assert Decimal(price["price"]) == last.price
    assert last.price in (Decimal(book["bidPrice"]), Decimal(book["askPrice"]))
    assert Decimal(book["askPrice"]) - Decimal(book["bidPrice"]) == Decimal("0.01")
    assert depth["bids"][0] == [book["bidPrice"], book["bidQty"]]
    assert [len(depth["bids"]), len(depth["asks"]), depth["lastUpdateId"]] == [3, 3, last.id]
    mean = sum(t.price * t.qty for t in truth) / sum(t.qty for t in truth)
    assert abs(Decimal(average["price"]) - mean) < Decimal("0.00000001")
    assert (average["mins"], average["closeTime"]) == (5, last.time_ms)


async def test_exchange_information_names_limits_and_the_status_of_symbols(open_exchange, get):
    exchange = await open_exchange(symbols=("BTCUSDT", "ETHBTC"))
    exchange.faults.set(symbol_status={"ETHBTC": SymbolStatus.BREAK})
    body = (await get(exchange, "exchangeInfo"))[1]
    assert [(r["rateLimitType"], r["interval"], r["intervalNum"], r["limit"]) for r in body["rateLimits"]] == [
        ("REQUEST_WEIGHT", "MINUTE", 1, 6000),
        ("RAW_REQUESTS", "MINUTE", 5, 300_000),
    ]
    assert [(s["symbol"], s["status"], s["baseAsset"], s["quoteAsset"]) for s in body["symbols"]] == [
        ("BTCUSDT", "TRADING", "BTC", "USDT"),
        ("ETHBTC", "BREAK", "ETH", "BTC"),
    ]
    trading = (await get(exchange, "exchangeInfo?symbolStatus=TRADING"))[1]["symbols"]
    assert [s["symbol"] for s in trading] == ["BTCUSDT"]


async def test_times_can_be_had_in_microseconds(open_exchange, get):
    exchange = await open_exchange(rate=50)
    await exchange.advance(2)
    unit = {"X-MBX-TIME-UNIT": "MICROSECOND"}
    truth = exchange.ledger.columns("BTCUSDT", 0, 10**12).time_us.tolist()
    assert (await get(exchange, "time", **unit))[1] == {"serverTime": exchange.clock.time_ms() * 1000}
    assert [t["time"] for t in (await get(exchange, "trades?symbol=BTCUSDT", **unit))[1]] == truth
    status, body, _ = await get(exchange, "time", **{"X-MBX-TIME-UNIT": "FORTNIGHT"})
    assert (status, body["code"]) == (400, -1194)
