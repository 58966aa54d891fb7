"""What proves that a stream brings trades: those that came by it, or the exchange's own word that there are none."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from include.health.observations import Code, ExchangeFacts, Observation, Probe, ProducerSymbolFacts
from include.playbook.names import Cause
from include.remediation.producer_feed import ProducerDocument, ProducerLooks
from include.remediation.stream_watch import Stream, StreamWatch
from tests.support.observing import ok, producer
from tests.support.producer_bench import ProducerBench, document, producer_bench
from tests.support.remediating import Bench, observation

BTC, ETH = "BTCUSDT", "ETHUSDT"
BRINGS, QUIET, NOT_YET = Stream.BRINGS, Stream.QUIET, Stream.NOT_YET
AWAY = observation(Probe.EXCHANGE, Code.TIMEOUT)
BEFORE = {BTC: 100, ETH: 50}


@pytest.fixture
def plant(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Iterator[ProducerBench]:
    with producer_bench(bench, monkeypatch) as made:
        yield made


def says(btc: int, eth: int, pid: int = 1, url: str | None = "ws://a") -> ProducerDocument:
    """How many trades came by stream."""
    counts = {BTC: {"trades_received": btc}, ETH: {"trades_received": eth}}
    return msgspec.convert(document(url, pid=pid, symbols=counts), ProducerDocument)


def exchange(**newest: int) -> Observation:
    return ok(Probe.EXCHANGE, ExchangeFacts(newest=newest))


def published(btc: int, eth: int) -> Any:
    ids = {BTC: btc, ETH: eth}
    symbols = {s: ProducerSymbolFacts(i, i, event_age_seconds=0.1, state="live") for s, i in ids.items()}
    return producer(symbols=symbols, status="polling").facts


STANDS, MOVED = exchange(**BEFORE), exchange(**{**BEFORE, BTC: 140})
LEVEL = published(100, 50)


@pytest.mark.parametrize(
    ("seconds", "now", "newest", "topic", "verdict"),
    [
        pytest.param(0, says(11, 6), None, LEVEL, BRINGS, id="both bring"),
        pytest.param(0, says(1, 1, pid=2), None, LEVEL, BRINGS, id="another process counts from nothing"),
        pytest.param(0, says(0, 0, pid=2), None, LEVEL, NOT_YET, id="another process, and nothing"),
        pytest.param(0, says(11, 5), None, LEVEL, NOT_YET, id="one of two: not asked at once"),
        pytest.param(2, says(11, 5), STANDS, LEVEL, BRINGS, id="the other one is not traded"),
        pytest.param(2, says(10, 6), MOVED, LEVEL, NOT_YET, id="the other one is traded"),
        pytest.param(2, says(11, 5), AWAY, LEVEL, BRINGS, id="nobody says that the other one is traded"),
        pytest.param(5, says(10, 5), None, LEVEL, NOT_YET, id="too short to be called quiet"),
        pytest.param(6, says(10, 5), STANDS, LEVEL, QUIET, id="nothing is traded"),
        pytest.param(6, says(10, 5), MOVED, published(140, 50), NOT_YET, id="all came by REST"),
        pytest.param(6, says(10, 5), AWAY, LEVEL, NOT_YET, id="the exchange does not answer"),
        pytest.param(6, says(10, 5), exchange(BTCUSDT=100), LEVEL, NOT_YET, id="it does not tell of one"),
        pytest.param(6, says(10, 5, url=None), STANDS, LEVEL, NOT_YET, id="not connected"),
        pytest.param(6, says(10, 5), STANDS, published(99, 50), NOT_YET, id="not all is in the topic"),
    ],
)
def test_what_the_stream_has_done_since(  # noqa: PLR0917 - one row of the table
    plant: ProducerBench, seconds: float, now: ProducerDocument, newest: Observation | None, topic: Any, verdict: Stream
) -> None:
    watch = _begun(plant, BEFORE)
    plant.bench.clock.advance(seconds)
    if newest is not None:
        plant.see(newest)
    seen = watch.look(topic, now)
    assert seen.stream is verdict, seen
    assert plant.asked == (newest is not None)


def test_no_market_is_called_quiet_of_which_nobody_knows_what_it_had_before(plant: ProducerBench) -> None:
    watch = _begun(plant, {})
    plant.see(STANDS)
    for _ in range(4):
        plant.bench.clock.advance(6)
        assert watch.look(LEVEL, says(10, 5)).stream is NOT_YET


def test_the_exchange_is_asked_every_other_second_at_most(plant: ProducerBench) -> None:
    watch = _begun(plant, BEFORE)
    plant.see(MOVED)
    for _ in range(100):
        plant.bench.clock.advance(0.1)
        watch.look(LEVEL, says(10, 5))
    assert plant.asked <= 3


def test_what_came_by_an_earlier_connection_does_not_count(plant: ProducerBench) -> None:
    watch = _begun(plant, BEFORE)
    watch.count_from(says(20, 9))
    assert watch.look(LEVEL, says(20, 9)).stream is NOT_YET
    assert watch.look(LEVEL, says(21, 10)).stream is BRINGS


def _begun(plant: ProducerBench, newest: dict[str, int]) -> StreamWatch:
    """With ten and five trades by stream until then."""
    watch = StreamWatch(plant.tools, ProducerLooks(plant.tools, plant.request(cause=Cause.UNKNOWN)))
    watch.begin(newest, says(10, 5))
    return watch
