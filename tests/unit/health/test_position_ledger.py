"""The first stalled hop, from positions alone."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.health.config import DetectorConfig
from include.health.observations import Code, Observation, Probe
from include.health.position_ledger import PositionLedger
from include.health.verdicts import Hop, Stall
from tests.support.flow import SYMBOL, Act, Flow, Script, leaves_out
from tests.support.observing import START, blind, failed


def _followed(flow: Flow, until: float, script: Script | None = None) -> dict[float, Stall | None]:
    ledger, stalls = PositionLedger(DetectorConfig(symbols=("BTCUSDT",))), {}
    for seen in flow.run(until, script):
        for observation in seen.observations:
            ledger.observe(seen.at, observation)
        stalls[flow.now] = ledger.stall(seen.at)
    return stalls


def _stop(*hops: str) -> Act:
    return lambda flow: flow.stopped.update(hops)


def _in_mysql(flow: Flow) -> None:
    flow.stopped.add("counted")
    flow.processor = {"batch_running": True, "batch_phase": "mysql"}


def _producer_unseen(flow: Flow) -> None:
    flow.stopped.add("received")
    flow.told[Probe.PRODUCER] = failed(Probe.PRODUCER, Code.REFUSED)


def _kafka_gone(flow: Flow) -> None:
    flow.stopped.update(("acked", "counted", "committed"))
    flow.told[Probe.OFFSETS] = failed(Probe.OFFSETS, Code.TIMEOUT)


@pytest.mark.parametrize(
    ("act", "hop", "within"),
    [
        (_stop("received"), Hop.RECEIVED, 20),
        (_stop("acked"), Hop.ACKNOWLEDGED, 16),
        (_kafka_gone, Hop.ACKNOWLEDGED, 16),
        (_producer_unseen, Hop.LOG_END, 32),
        (_stop("counted"), Hop.FINISHED, 25),
        (_in_mysql, Hop.COUNTED, 25),
    ],
)
def test_the_fault_is_where_the_input_advances_and_the_output_does_not(act: Act, hop: Hop, within: float) -> None:
    stalls = _followed(Flow(), 60 + within, {60: act})
    found = [(second, stall) for second, stall in stalls.items() if stall]
    assert found, "no stall found"
    assert {stall.hop for _, stall in found} == {hop}
    assert 60 <= found[-1][1].since - START <= 60 + within - 9
    assert found[0][1] is found[-1][1]  # it goes on: the same object, with the same beginning


@pytest.mark.parametrize(("settles", "hop"), [(True, None), (False, Hop.ACKNOWLEDGED)])
def test_trades_that_are_left_out_on_purpose_are_no_stall(settles: bool, hop: Hop | None) -> None:
    stalls = _followed(Flow(), 118, {60: leaves_out(4, settles=settles)})
    assert {stall.hop for stall in stalls.values() if stall} == ({hop} if hop else set())


def test_rows_that_are_not_written_while_trades_are_counted() -> None:
    flow = Flow()

    def rows_stop(flow: Flow) -> None:
        look, stopped_at = flow._ledger, flow.now

        def ledger() -> object:
            observation = look()
            facts = observation.facts
            facts = msgspec.structs.replace(facts, row_age_seconds=flow.now - stopped_at)
            return msgspec.structs.replace(observation, facts=facts)

        flow._ledger = ledger  # type: ignore[method-assign,assignment]

    stalls = _followed(flow, 100, {60: rows_stop})
    assert stalls[100] is not None
    assert stalls[100].hop is Hop.ROWS


@given(
    trades=st.floats(0, 30),
    quiet=st.tuples(st.integers(20, 60), st.integers(1, 60)),
    delay=st.sampled_from([(), ("acked",), ("counted",), ("committed",)]),
)
@settings(max_examples=60, deadline=None)
def test_no_stall_where_every_hop_takes_what_it_gets(trades: float, quiet: tuple[int, int], delay: tuple[str]) -> None:
    """Whatever the market does, and although a hop pauses for 4 seconds: shorter than any window."""
    begin, length = quiet

    def set_trades(value: float) -> Act:
        return lambda flow: setattr(flow, "trades", value)

    script: dict[float, Act] = {
        begin: set_trades(0.0),
        begin + length: set_trades(trades),
        10: _stop(*delay),
        14: lambda flow: flow.stopped.clear(),
    }
    assert not any(_followed(Flow(trades=trades), 150, script).values())


def test_a_single_trade_that_nobody_took_is_a_stall_and_what_ends_it_ends_it() -> None:
    flow = Flow(trades=0)

    def trade(flow: Flow) -> None:
        flow.stopped.add("counted")
        flow.traded += 1

    stalls = _followed(flow, 120, {30: trade, 70: lambda flow: flow.stopped.clear()})
    assert stalls[60] is not None
    assert stalls[60].hop is Hop.FINISHED
    assert stalls[80] is None


def test_what_is_not_seen_is_left_out_and_not_guessed() -> None:
    flow = Flow()
    for probe in (Probe.PRODUCER, Probe.OFFSETS, Probe.MYSQL_LEDGER):
        flow.told[probe] = blind(probe)
    flow.told[Probe.PROCESSOR] = None
    assert not any(_followed(flow, 120).values())


def test_after_a_time_in_which_nobody_looked_everything_is_new() -> None:
    ledger = PositionLedger(DetectorConfig(symbols=("BTCUSDT",)))
    flow = Flow()
    for seen in flow.run(60, {20: _stop("acked")}):
        for observation in seen.observations:
            ledger.observe(seen.at, observation)
        ledger.stall(seen.at)
    assert ledger.stall(START + 61) is not None
    ledger.resumed(START + 200)
    assert ledger.stall(START + 200) is None


def test_a_standing_backlog_that_moves_is_no_stall() -> None:
    flow = Flow(trades=20)
    flow.traded += 500
    flow.reads = 20
    assert not any(_followed(flow, 200).values())


def test_a_batch_with_nothing_to_count_needs_no_rows() -> None:
    """Invalid records: offsets move on, trade ids and rows do not."""

    def invalid(flow: Flow) -> None:
        look, began, counted = flow._ledger, flow.now, flow.counted

        def ledger() -> Observation:
            observation = look()
            facts = msgspec.structs.replace(
                observation.facts, counted={SYMBOL: counted}, row_age_seconds=flow.now - began
            )
            return msgspec.structs.replace(observation, facts=facts)

        flow._ledger = ledger  # type: ignore[method-assign]

    assert not any(_followed(Flow(), 200, {60: invalid}).values())
