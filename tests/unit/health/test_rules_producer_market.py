"""Stories of producer_silent: a quiet or thin market, and trades that are missing although all seems well."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.health.observations import Code, Observation, Probe, ProducerSymbolFacts
from include.health.verdicts import State
from include.playbook.names import Cause, Symptom
from tests.support.flow import SYMBOL, Act, Flow, first, leaves_out, watched
from tests.support.observing import START, blind
from tests.support.producer_stories import FAULT_AT, exchange, producer_rules, told


def test_a_gap_that_is_not_filled_in_is_told_and_one_that_is_is_not() -> None:
    def behind(*, fills: bool) -> Act:
        def act(flow: Flow) -> None:
            look = flow._producer

            def producer() -> Observation:
                acked = flow.acked if fills else 1_500
                own = ProducerSymbolFacts(
                    received=flow.received, acknowledged=acked, event_age_seconds=0.1, state="behind"
                )
                flow.producer.update(symbols={SYMBOL: own}, status="catching_up")
                return look()

            flow._producer = producer  # type: ignore[method-assign]

        return act

    stuck = told(behind(fills=False), 160)
    assert (stuck[130].state, stuck[130].symptom) == (State.UNHEALTHY, Symptom.ID_GAP)
    assert first(stuck, State.UNHEALTHY) >= 120  # type: ignore[operator]
    assert first(told(behind(fills=True), 400), State.UNHEALTHY) is None


def test_a_producer_that_says_it_is_well_while_the_topic_stands_still() -> None:
    def act(flow: Flow) -> None:
        flow.partition["end"] = flow.acked

    verdict = told(act)[110]
    assert (verdict.state, verdict.symptom, verdict.direct) == (State.UNHEALTHY, Symptom.NO_NEW_MESSAGES, False)


@pytest.mark.parametrize(("settles", "bad"), [(True, False), (False, True)])
def test_a_topic_may_stand_still_while_trades_are_left_out_on_purpose(settles: bool, bad: bool) -> None:
    """At 10 trades a second three blocks of 200 take a minute."""
    verdicts = told(leaves_out(4, settles=settles))
    assert verdicts[118].state.bad is bad


def test_a_quiet_market_is_said_in_figures() -> None:
    verdicts = told(lambda flow: setattr(flow, "trades", 0.0))
    quiet = verdicts[110]
    assert (quiet.state, quiet.cause) == (State.HEALTHY, Cause.QUIET_MARKET)
    assert "1600" in quiet.reason
    assert quiet.figures["behind_exchange"] == 0
    assert quiet.figures["trades_per_second"] == 0.0


@given(
    trades=st.floats(0, 0.7),
    pauses=st.lists(st.tuples(st.integers(20, 560), st.integers(1, 300)), max_size=4),
    verdict=st.sampled_from([None, "quiet", "woke_up"]),
)
@settings(max_examples=25, deadline=None)
def test_a_quiet_or_thin_market_never_opens(trades: float, pauses: list[tuple[int, int]], verdict: str | None) -> None:
    def set_trades(value: float) -> Act:
        return lambda flow: setattr(flow, "trades", value)

    script: dict[float, Act] = {}
    for begin, length in pauses:
        script[float(begin)] = set_trades(0.0)
        script[float(begin + length)] = set_trades(trades)
    flow = Flow(trades=trades)
    flow.producer["silence_verdict"] = verdict
    verdicts = watched(producer_rules(), flow, 600, script)
    assert {v.state for v in verdicts.values()} <= {State.UNKNOWN, State.HEALTHY}


def test_a_trade_on_its_way_when_the_exchange_is_asked_is_no_silence() -> None:
    """The symbol trades once in 20 s, and each time the oracle is a second ahead of the producer."""
    flow = Flow(trades=0.0)

    def trade(flow: Flow) -> None:
        flow.traded += 1
        flow.stopped.add("received")

    script: dict[float, Act] = {}
    for at in range(19, 400, 20):
        script[float(at)] = trade
        script[float(at + 2)] = lambda flow: flow.stopped.clear()
    assert first(watched(producer_rules(), flow, 400, script), State.SUSPECT, State.UNHEALTHY) is None


def test_after_a_gap_in_looking_silence_must_be_seen_anew() -> None:
    rules, flow = producer_rules(), Flow()
    watched(rules, flow, 60)
    flow.stopped.add("received")
    rules.resumed(START + 150)
    flow.now, flow._received_at = 150.0, 150.0
    assert first(watched(rules, flow, 154), State.UNHEALTHY, State.SUSPECT) is None


def test_the_verdict_of_a_quiet_minute_is_hardly_ever_made_anew() -> None:
    verdicts = watched(producer_rules(), Flow(), 120)
    made = {id(verdict) for second, verdict in verdicts.items() if second > 60}
    assert len(made) <= 14  # figures every few seconds
    assert verdicts[120].figures["trades_per_second"] == pytest.approx(10.0, abs=0.5)


def test_the_producers_own_word_is_enough_while_the_oracle_cannot_see() -> None:
    def silent(flow: Flow) -> None:
        flow.stopped.add("received")
        flow.told[Probe.EXCHANGE] = blind(Probe.EXCHANGE)

    def judged(flow: Flow) -> None:
        flow.producer["silence_verdict"] = "feed_at_fault"

    verdicts = told(silent, 100, {FAULT_AT + 6: judged})
    assert first(verdicts, State.UNHEALTHY) == FAULT_AT + 7
    assert first(told(silent, 100), State.UNHEALTHY) is None


def test_an_older_verdict_of_the_producer_says_nothing_about_a_new_silence() -> None:
    flow = Flow()
    flow.producer["silence_verdict"] = "feed_at_fault"
    verdicts = told(lambda flow: setattr(flow, "trades", 0.0), 200, flow=flow)
    assert first(verdicts, State.UNHEALTHY, State.SUSPECT) is None


def test_a_market_is_not_called_quiet_when_nobody_could_ask() -> None:
    def unseen(flow: Flow) -> None:
        flow.trades = 0.0
        flow.told[Probe.EXCHANGE] = blind(Probe.EXCHANGE)

    assert {v.cause for v in told(unseen, 120).values()} == {Cause.NONE}


def test_one_late_answer_in_a_quiet_market_is_no_outage() -> None:
    """Nothing is traded for more than a minute, and the exchange is slow just when both of us ask."""

    def slow(flow: Flow) -> None:
        exchange(Code.TIMEOUT, Code.TIMEOUT)(flow)
        flow.producer.update(silence_verdict="exchange_unreachable")

    flow = Flow(trades=0.0)
    verdicts = watched(producer_rules(), flow, 160, {99: slow, 104: Flow.as_usual})
    assert {v.state for at, v in verdicts.items() if at > 30} <= {State.HEALTHY, State.SUSPECT}
