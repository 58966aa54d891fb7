"""The oracle against the stand-in exchange and its faults, and the producer's probe against a real producer."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable

import pytest

from include.health.observations import Code, ExchangeFacts, Observation, Outcome, ProducerFacts
from include.health.probes.exchange import ExchangeOracle
from include.health.probes.exchange_answers import ExchangeLine
from include.health.probes.producer import ProducerHealth
from include.market.standin import StandInConfig, StandInExchange
from include.market.weight import RetryAfterGate
from include.runtime.clock import ManualClock, SystemClock
from include.settings import Settings
from tests.support.producing import producer_settings, running
from tests.support.servers import KafkaServer
from tests.support.waiting import until

pytestmark = pytest.mark.integration
SYMBOLS = ("BTCUSDT", "ETHUSDT")


@pytest.fixture
async def exchange() -> AsyncIterator[StandInExchange]:
    async with StandInExchange(StandInConfig(symbols=SYMBOLS, rate=50)) as market:
        ledger = market.ledger
        await until(lambda: all(ledger.first_id(s) < ledger.next_id(s) for s in SYMBOLS), 10, "something was traded")
        yield market


def requests(exchange: StandInExchange) -> int:
    """The stand-in's own count of the requests it got."""
    return sum(address["requests"] for address in exchange.accounting.snapshot().values())


async def look(probe: ExchangeOracle | ProducerHealth) -> Observation:
    """One look, beside the exchange, which runs in this event loop."""
    return await asyncio.to_thread(probe.look)


async def test_the_newest_ids(exchange: StandInExchange) -> None:
    probe = ExchangeOracle([exchange.rest_url], SYMBOLS)
    before = {symbol: exchange.ledger.next_id(symbol) - 1 for symbol in SYMBOLS}
    seen = await look(probe)
    after = {symbol: exchange.ledger.next_id(symbol) - 1 for symbol in SYMBOLS}
    assert isinstance(seen.facts, ExchangeFacts)
    assert seen.outcome is Outcome.OK
    assert all(before[symbol] <= seen.facts.newest[symbol] <= after[symbol] for symbol in SYMBOLS)
    assert seen.facts.answers == {exchange.rest_url: "ok"}
    assert seen.facts.weight_used == 8, "the exchange's own count"
    probe.close()


@pytest.mark.parametrize(
    ("faults", "code"),
    [
        ({"rest_status": 503}, Code.SERVER_ERROR),
        ({"rest_status": 504}, Code.SERVER_ERROR),
        ({"rest_hang_seconds": 5}, Code.TIMEOUT),
        ({"connections": "reset"}, Code.CONNECTIVITY),
        ({"connections": "tls"}, Code.CONNECTIVITY),
        ({"connections": "refuse"}, Code.REFUSED),
    ],
)
async def test_outages_by_their_kind(exchange: StandInExchange, faults: dict[str, object], code: Code) -> None:
    probe = ExchangeOracle([exchange.rest_url], SYMBOLS)
    assert (await look(probe)).outcome is Outcome.OK
    exchange.faults.set(**faults)
    await exchange.settle()
    await asyncio.sleep(0.1)
    if "connections" in faults:  # new ones only
        probe.close()
    began = time.monotonic()
    seen = await look(probe)
    assert time.monotonic() - began < probe.deadline
    assert isinstance(seen.facts, ExchangeFacts)
    assert (seen.outcome, seen.code) == (Outcome.FAILED, code), seen
    assert seen.facts.answers == {exchange.rest_url: code.value}
    exchange.faults.clear()
    await until(lambda: not exchange.faults.current.active(), 5, "no faults")
    await exchange.settle()
    await asyncio.sleep(0.1)
    assert (await look(probe)).outcome is Outcome.OK
    probe.close()


async def test_an_exchange_that_cannot_be_reached(exchange: StandInExchange) -> None:
    """The backlog of a full server drops what comes: as if packets were lost on the way."""
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        url = f"http://127.0.0.1:{full.getsockname()[1]}"
        with socket.create_connection(full.getsockname()), socket.socket() as second:
            second.setblocking(False)
            second.connect_ex(full.getsockname())
            alone = ExchangeOracle([url], SYMBOLS)
            seen = await look(alone)
            assert (seen.outcome, seen.code) == (Outcome.FAILED, Code.UNREACHABLE)
            two = ExchangeOracle([url, exchange.rest_url], SYMBOLS)
            seen = await look(two)
    assert isinstance(seen.facts, ExchangeFacts)
    assert (seen.outcome, seen.facts.answers) == (Outcome.OK, {url: "unreachable", exchange.rest_url: "ok"})


@pytest.mark.parametrize(("status", "code"), [(429, Code.RATE_LIMITED), (418, Code.BANNED)])
async def test_no_request_until_the_wait_is_over(exchange: StandInExchange, status: int, code: Code) -> None:
    clock = ManualClock()
    probe = ExchangeOracle([exchange.rest_url], SYMBOLS, clock=clock)
    exchange.faults.set(rest_status=status)  # Retry-After: 60
    before = requests(exchange)
    first = await look(probe)
    assert (first.outcome, first.code, first.number) == (Outcome.FAILED, code, status)
    assert requests(exchange) == before + 1
    for _ in range(11):
        clock.advance(5)
        again = await look(probe)
        assert (again.outcome, again.code) == (Outcome.FAILED, code)
    assert requests(exchange) == before + 1, "55 s without a request"
    exchange.faults.clear()
    clock.advance(5.1)
    assert (await look(probe)).outcome is Outcome.OK
    probe.close()


async def test_a_real_ban(exchange: StandInExchange) -> None:
    probe = ExchangeOracle([exchange.rest_url], SYMBOLS)
    exchange.faults.set(ban_seconds=2)
    seen = await look(probe)
    assert (seen.code, seen.number) == (Code.BANNED, 418)
    assert (await look(probe)).error is not None
    await asyncio.sleep(2.2)
    assert (await look(probe)).outcome is Outcome.OK
    probe.close()


async def test_connections_are_kept(exchange: StandInExchange) -> None:
    line = ExchangeLine([exchange.rest_url])
    for _ in range(3):
        answer = await asyncio.to_thread(line.newest_trade, exchange.rest_url, SYMBOLS[0])
        assert answer.code is Code.OK
    pools = line._session.get_adapter(exchange.rest_url).poolmanager.pools
    kept = [pools[key] for key in list(pools.keys())]
    assert [(pool.num_connections, pool.num_requests) for pool in kept] == [(1, 3)]
    line.close()


async def test_a_real_producer(
    exchange: StandInExchange, kafka: KafkaServer, stack_settings: Settings, fresh_topic: Callable[..., str]
) -> None:
    clock = SystemClock()
    gate = RetryAfterGate(clock)
    async with running(producer_settings(stack_settings, exchange), fresh_topic()) as producer:
        probe = ProducerHealth(producer.endpoint.port, gate)
        await until(lambda: producer.report.status().value == "live", 15, "the producer is live")
        seen = await look(probe)
        assert (seen.outcome, seen.error) == (Outcome.OK, None)
        facts = seen.facts
        assert isinstance(facts, ProducerFacts)
        assert (facts.status, sorted(facts.symbols), facts.publisher_state) == ("live", sorted(SYMBOLS), "open")
        assert 0 < facts.age_seconds < 60
        for symbol in facts.symbols.values():
            assert symbol.received is not None
            assert symbol.event_age_seconds is not None
            assert symbol.event_age_seconds < 10
        exchange.faults.set(ban_seconds=30, silent=True)  # it asks the exchange about the silence
        await until(lambda: producer.client.gate.seconds_left() > 0, 20, "the producer was told to wait")
        await look(probe)
        oracle = ExchangeOracle([exchange.rest_url], SYMBOLS, gate)
        before = requests(exchange)
        seen = await look(oracle)
        assert (seen.outcome, seen.code) == (Outcome.FAILED, Code.BANNED), "told to the producer, heeded by the oracle"
        assert requests(exchange) == before
        oracle.close()
    assert (await look(probe)).code is Code.REFUSED
