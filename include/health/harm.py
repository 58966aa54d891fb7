"""What a fault does to people who use the averages, measured at the end of the pipeline and not guessed from causes.

Rows are stale only if something newer than them was traded: in a quiet market old rows are right. How long a known
trade has been waiting to be counted is measured by trade ids, from the first moment anybody (exchange, producer, Kafka)
knew of it. The risk of loss is how much of the retention of unread records is used up, and how full btc_producer's
buffer is: beyond it trades must be fetched from the exchange again, which keeps them, so it weighs half.
"""

from __future__ import annotations

from include.health.config import DetectorConfig
from include.health.front import Front
from include.health.observations import (
    ExchangeFacts,
    Observation,
    OffsetsFacts,
    Outcome,
    Probe,
    ProducerFacts,
    RowsFacts,
)
from include.health.verdicts import Harm

_CHECK_SECONDS = 5.0
_FRESH_SECONDS = 15.0
_UNFELT_SECONDS = 15.0  # staleness up to here is the pipeline's own pace
_STEP_SECONDS = 4.0
_BUFFER_WEIGHT = 0.5


class HarmMeter:
    """Feed it every observation; ask it for the harm at a moment."""

    def __init__(self, config: DetectorConfig) -> None:
        self._buffer_trades = config.buffer_trades
        self._unfelt = max(_UNFELT_SECONDS, 3 * config.micro_batch_seconds)
        self._traded = {symbol: Front(_STEP_SECONDS) for symbol in config.symbols}
        self._counted: dict[str, int] = {}
        self._waiting_seconds = self._retention_used = self._buffer_fill = 0.0
        self._offsets_at = 0.0
        self._ledger_blind_at: float | None = None
        self._newest: dict[Probe, tuple[float, Observation]] = {}
        self._check_due = 0.0
        self._harm = Harm()

    def observe(self, at: float, observation: Observation) -> None:
        """Keep an observation of any probe."""
        self._newest[observation.probe] = (at, observation)

    def harm(self, at: float) -> Harm:
        """Measured anew every few seconds; the same object as long as nothing has changed."""
        if at >= self._check_due:
            self._check_due = at + _CHECK_SECONDS
            for when, observation in self._newest.values():
                self._take(when, observation)
            self._newest.clear()
            measured = self._measure(at)
            if measured != self._harm:
                self._harm = measured
        return self._harm

    # --- Taking --------------------------------------------------------------------------------------------------
    def _take(self, at: float, observation: Observation) -> None:
        if observation.probe is Probe.MYSQL_LEDGER:
            self._ledger(at, observation)
        match observation.facts:
            case ExchangeFacts(newest=newest):
                for symbol, position in newest.items():
                    self._trade(at, symbol, position)
            case ProducerFacts() as facts:
                self._producer(at, facts)
            case OffsetsFacts(partitions=partitions, retention_seconds=retention):
                waiting = max((own.waiting_seconds or 0.0 for own in partitions.values()), default=0.0)
                self._waiting_seconds, self._offsets_at = waiting, at
                self._retention_used = min(waiting / retention, 1.0)

    def _ledger(self, at: float, observation: Observation) -> None:
        if observation.outcome is Outcome.BLIND:
            self._ledger_blind_at = self._ledger_blind_at or at
            return
        self._ledger_blind_at = None
        if isinstance(observation.facts, RowsFacts):
            self._counted = observation.facts.counted
            for symbol, counted in self._counted.items():
                if symbol in self._traded:
                    self._traded[symbol].forget_until(counted)

    def _producer(self, at: float, facts: ProducerFacts) -> None:
        self._buffer_fill = min(facts.buffered / self._buffer_trades, 1.0)
        for symbol, own in facts.symbols.items():
            newest = max(own.received or 0, own.acknowledged or 0)
            if newest:
                self._trade(at, symbol, newest)

    def _trade(self, at: float, symbol: str, trade_id: int) -> None:
        """Somebody knows this trade. One source is behind the other: only what is farther counts."""
        front = self._traded.get(symbol)
        if front is not None and (front.position is None or trade_id > front.position):
            front.advance(at, trade_id)

    # --- Measuring -----------------------------------------------------------------------------------------------
    def _measure(self, at: float) -> Harm:
        stale = self._stale_by_symbol(at)
        hit = tuple(sorted(symbol for symbol, seconds in stale.items() if seconds > self._unfelt))
        worst = max(stale.values(), default=None)
        if at - self._offsets_at <= _FRESH_SECONDS and self._waiting_seconds > (worst or self._unfelt):
            worst = self._waiting_seconds
        risk = max(self._retention_used, self._buffer_fill * _BUFFER_WEIGHT)
        felt = worst is not None and worst > self._unfelt
        seconds = None if worst is None else round(worst, 1) if felt else 0.0
        return Harm(seconds, hit, round(risk, 3) if risk >= 0.01 else 0.0, _reason(seconds, hit, risk))

    def _stale_by_symbol(self, at: float) -> dict[str, float]:
        """Seconds that the oldest trade not counted has been known; empty while nobody can see what is counted."""
        blind = self._ledger_blind_at
        if blind is not None and at - blind > _FRESH_SECONDS:
            return {}
        stale = {}
        for symbol, front in self._traded.items():
            counted = self._counted.get(symbol)
            if counted is not None:
                passed = front.passed_at(counted)
                stale[symbol] = 0.0 if passed is None else at - passed
        return stale


def _reason(seconds: float | None, hit: tuple[str, ...], risk: float) -> str:
    if seconds is None:
        text = "How old the averages are is not known."
    elif not seconds:
        text = "The averages are as new as the market."
    else:
        whose = f" of {', '.join(hit)}" if hit else ""
        text = f"The averages{whose} are {seconds:.0f} s behind what has been traded."
    return f"{text} {risk:.0%} of the time until data could be lost is used up." if risk >= 0.01 else text
