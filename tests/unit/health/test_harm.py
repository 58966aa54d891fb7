"""What people feel: how far the averages are behind what was traded, whose, and what could be lost."""

from __future__ import annotations

import pytest

from include.health.config import DetectorConfig
from include.health.front import Front
from include.health.harm import HarmMeter
from include.health.observations import Code, Probe
from include.health.verdicts import Harm
from tests.support.flow import Act, Flow, Script
from tests.support.observing import blind, failed


def _measured(flow: Flow, until: float, script: Script | None = None) -> dict[float, Harm]:
    meter, harms = HarmMeter(DetectorConfig(symbols=("BTCUSDT", "ETHUSDT"), buffer_trades=1_000)), {}
    for seen in flow.run(until, script):
        for observation in seen.observations:
            meter.observe(seen.at, observation)
        harms[flow.now] = meter.harm(seen.at)
    return harms


def _mysql_gone(flow: Flow) -> None:
    flow.stopped.update(("counted", "committed"))
    flow.told[Probe.MYSQL_LEDGER] = failed(Probe.MYSQL_LEDGER, Code.REFUSED)


def _feed_gone(flow: Flow) -> None:
    flow.stopped.add("received")


def _all_unseen(flow: Flow) -> None:
    flow.told[Probe.MYSQL_LEDGER] = blind(Probe.MYSQL_LEDGER)
    flow.told[Probe.OFFSETS] = blind(Probe.OFFSETS)


def _quiet(flow: Flow) -> None:
    flow.trades = 0


@pytest.mark.parametrize(
    ("name", "act", "stale"),
    [
        ("all is well", None, 0),
        ("quiet market: old rows are right", _quiet, 0),
        ("rows cannot be written", _mysql_gone, 140),
        ("the exchange trades and nothing comes in", _feed_gone, 140),
        ("nobody can see", _all_unseen, None),
    ],
)
def test_staleness_is_measured_against_what_was_traded(name: str, act: Act | None, stale: float | None) -> None:
    harm = _measured(Flow(), 200, {60: act} if act else {})[200]
    if stale:
        assert harm.stale_seconds == pytest.approx(stale, abs=12), name
        assert harm.symbols_hit == ("BTCUSDT",)
        assert "BTCUSDT" in harm.reason
    else:
        assert harm.stale_seconds == stale, name
        assert harm.symbols_hit == ()


def test_one_trade_after_a_long_quiet_is_stale_from_its_own_moment() -> None:
    def trade(flow: Flow) -> None:
        flow.traded += 1
        flow.stopped.add("counted")

    flow = Flow(trades=0)
    harms = _measured(flow, 700, {600: trade})
    assert harms[600].stale_seconds == 0.0
    assert harms[650].stale_seconds == pytest.approx(50, abs=8)


def test_it_shrinks_while_a_backlog_is_worked_off() -> None:
    def resumes(flow: Flow) -> None:
        flow.stopped.clear()
        flow.reads = 20.0

    harms = _measured(Flow(), 1_500, {60: _mysql_gone, 660: resumes, 661: lambda flow: flow.told.clear()})
    assert harms[660].stale_seconds == pytest.approx(600, abs=12)
    assert harms[960].stale_seconds == pytest.approx(300, abs=20)
    assert harms[1_400].stale_seconds == 0.0


def test_the_risk_of_loss_is_retention_used_up_or_half_the_fill_of_the_buffer() -> None:
    def unread(flow: Flow) -> None:
        flow.stopped.add("committed")
        flow.partition["waiting_seconds"] = 1_800.0

    assert _measured(Flow(), 100, {50: unread})[100].loss_risk == 0.5
    flow = Flow()
    flow.producer["buffered"] = 600
    harm = _measured(flow, 20)[20]
    assert harm.loss_risk == 0.3
    assert "30%" in harm.reason


def test_the_same_harm_is_the_same_object() -> None:
    harms = _measured(Flow(), 60)
    assert harms[20] is harms[60]


def test_a_front_that_stands_for_hours_keeps_a_bounded_memory() -> None:
    front = Front(4.0, size=64)
    for second in range(20_000):
        front.advance(float(second), second * 10)
    assert len(front._steps) <= 64
    for second in (0, 5_000, 10_000, 19_000):
        passed = front.passed_at(second * 10)
        assert passed is not None
        assert second < passed <= second + 20_000 / 32  # half of the memory is always in use
    assert front.passed_at(199_990) is None
    front.forget_until(199_000)
    for second in range(20_000, 20_100):
        front.advance(float(second), second * 10)
    passed = front.passed_at(200_500)
    assert passed == pytest.approx(20_053, abs=4)
