"""btc_producer sends nothing: detection §3 S4. Is it the process, the exchange, the network, a limit, the form of the
frames, Kafka, or nobody at all because nothing is traded?
"""

from __future__ import annotations

from include.health.config import DetectorConfig
from include.health.observations import Observation, OffsetsFacts, Outcome, Probe, ProducerFacts
from include.health.rules.base import Figures, Finding
from include.health.rules.exchange_side import ExchangeSide
from include.health.rules.supervised_process import SupervisedProcess
from include.health.rules.trouble_rules import TroubleRules
from include.health.rules.troubles import Kind
from include.health.verdicts import State
from include.playbook.names import Cause, Component, ScenarioId, Symptom
from include.playbook.thresholds import ProducerThresholds
from include.producer.flood import FloodState
from include.producer.publisher import PublisherState
from include.producer.status import Status
from include.producer.tracks import SymbolState

_FEWEST_FRAMES = 100  # before a share of invalid ones means anything
_STRAY_SHARE = 0.02  # of the share that is a flood: worth a record
_TOPIC_STILL_SECONDS, _TOPIC_STILL_MOVES, _TOPIC_LOOK_SECONDS = 10.0, 2, 3.5
_CALM_LOOK_SECONDS, _CALM_SECONDS = 2.9, 3.0
_LIVE = Status.LIVE.value
_WORDLESS = (Status.STARTING, Status.STOPPING)
_KAFKA = (Cause.KAFKA_CONNECTION, Symptom.KAFKA_TRANSPORT)

_BAD_FRAMES = Kind(Cause.SERIALIZATION, Symptom.BAD_FRAMES, Probe.PRODUCER, direct=True)
_STRAY_FRAMES = Kind(Cause.SERIALIZATION, Symptom.BAD_FRAMES, Probe.PRODUCER, direct=True, warning=True)
_NOT_PUBLISHED = Kind(*_KAFKA, Probe.PRODUCER)
_GAP = Kind(Cause.SILENT_LOSS, Symptom.ID_GAP, Probe.PRODUCER, direct=True)
_NO_MESSAGES = Kind(Cause.UNKNOWN, Symptom.NO_NEW_MESSAGES, Probe.OFFSETS)


class ProducerSilentRules(TroubleRules):
    """See the module's text and :class:`include.health.rules.base.Rules`."""

    scenario = ScenarioId.PRODUCER_SILENT
    target = Component.PRODUCER
    needs = frozenset({Probe.PRODUCER})

    def __init__(self, thresholds: ProducerThresholds, config: DetectorConfig) -> None:
        super().__init__(thresholds, config)
        self._thresholds = t = thresholds
        define = self._troubles.define
        self._process = SupervisedProcess(
            self.target.value,
            Probe.PRODUCER,
            thresholds=thresholds,
            config=config,
            troubles=self._troubles,
            useless=(Cause.UNKNOWN, Symptom.NO_NEW_MESSAGES),
        )
        self._frames = define(2, 3, dwell=t.dwell_seconds)
        self._exchange = ExchangeSide(t, self._troubles)
        self._publishing = define(2, 3, dwell=t.dwell_seconds)
        self._gap = define(1, 3, dwell=t.dwell_seconds)
        self._topic = define(2, 2, dwell=t.dwell_seconds)
        self._stray = define(3, 3)
        self._facts: ProducerFacts | None = None
        self._behind_since: dict[str, tuple[float, int | None]] = {}  # symbol → since when, how far it was then
        self._end, self._end_at, self._moves_then = -1, 0.0, 0
        self._look_due = self._topic_due = 0.0
        self._rate_from: tuple[float, int] | None = None
        self.handlers = {
            Probe.PROCESSES: self._process.processes,
            Probe.PRODUCER: self._producer,
            Probe.EXCHANGE: self._asked,
            Probe.OFFSETS: self._offsets,
            Probe.LOGS: self._process.logs,
        }

    def resumed(self, at: float) -> None:
        """See :class:`Rules`."""
        self._troubles.interrupted()
        self._process.interrupted()
        self._exchange.interrupted()
        self._judge.resumed(at)
        self._behind_since.clear()
        self._end, self._rate_from, self._facts = -1, None, None

    # --- What is seen --------------------------------------------------------------------------------------------
    def _producer(self, at: float, observation: Observation) -> None:
        facts = observation.facts
        if observation.outcome is not Outcome.OK or not isinstance(facts, ProducerFacts):
            self._facts, self._look_due = None, at
            self._process.unanswered(at, observation)
            return
        self._facts = facts
        if at < self._look_due and self._seems_well(facts):
            return
        self._process.answered(at)
        calm = self._seems_well(facts) and self._calm(facts)
        self._look_due = at + _CALM_LOOK_SECONDS if calm else at
        self._exchange.told(at, facts)
        if calm and not self._exchange.feed.lags:
            return
        self._judge_publishing(at, facts)
        if facts.status in _WORDLESS:
            return
        self._process.works()
        self._exchange.judge(at, facts)
        self._judge_frames(at, facts)
        self._judge_gap(at, facts)

    def _asked(self, at: float, observation: Observation) -> None:
        """The oracle's answer; what it does not like is looked at closely."""
        self._exchange.oracle(at, observation)
        if observation.outcome is not Outcome.OK:
            self._look_due = at

    @staticmethod
    def _seems_well(facts: ProducerFacts) -> bool:
        return (
            facts.silent_seconds < _CALM_SECONDS
            and facts.oldest_unacknowledged_seconds < _CALM_SECONDS
            and not facts.window_invalid
            and facts.status == _LIVE
        )

    def _calm(self, facts: ProducerFacts) -> bool:
        """Nothing is wrong, and nothing was: a glance will do the next time."""
        return self._exchange.calm(facts) and not self._process.starting and self._troubles.quiet

    def _offsets(self, at: float, observation: Observation) -> None:
        facts = observation.facts
        if not isinstance(facts, OffsetsFacts):
            self._end = -1
            return
        if at < self._topic_due:
            return
        self._topic_due = at + _TOPIC_LOOK_SECONDS
        end, moves = 0, self._exchange.feed.exchange_moves
        for partition in facts.partitions.values():
            end += partition.end
        if end != self._end or self._facts is None or not self._process.serving or _left_out(self._facts):
            self._end, self._end_at, self._moves_then = end, at, moves
            if not self._topic.quiet:
                self._topic.good(at)
        elif moves - self._moves_then > _TOPIC_STILL_MOVES and at - self._end_at >= _TOPIC_STILL_SECONDS:
            text = f"crypto-trades has had no new message for {at - self._end_at:.0f} s, while the exchange trades."
            self._topic.bad(at, _NO_MESSAGES, lambda: text)

    # --- What it means -------------------------------------------------------------------------------------------
    def _judge_frames(self, at: float, facts: ProducerFacts) -> None:
        invalid, frames = facts.window_invalid, facts.window_valid + facts.window_invalid
        share = invalid / frames if frames >= _FEWEST_FRAMES else 0.0
        flood = share > self._thresholds.invalid_share or facts.invalid_state == FloodState.FLOOD
        stray = not flood and share > self._thresholds.invalid_share * _STRAY_SHARE
        if flood:
            text = f"{invalid} of {frames} frames of the last 10 s are of a form that is not known."
            self._frames.bad(at, _BAD_FRAMES, lambda: text)
        elif not self._frames.quiet:
            self._frames.good(at)
        if stray:
            self._stray.bad(at, _STRAY_FRAMES, lambda: f"{invalid} of {frames} frames of the last 10 s are invalid.")
        elif not self._stray.quiet:
            self._stray.good(at)

    def _judge_publishing(self, at: float, facts: ProducerFacts) -> None:
        seconds = facts.oldest_unacknowledged_seconds
        if seconds <= self._thresholds.unacknowledged_seconds and facts.publisher_state == PublisherState.OPEN:
            if not self._publishing.quiet:
                self._publishing.good(at)
                self._process.absolved()
            return
        self._process.blames(at, *_KAFKA)
        text = f"Kafka has not acknowledged a record for {seconds:.0f} s; {facts.buffered} trades wait in the producer."
        self._publishing.bad(at, _NOT_PUBLISHED, lambda: text)

    def _judge_gap(self, at: float, facts: ProducerFacts) -> None:
        """A symbol that is behind, and of which nothing goes on to Kafka: the gap does not close."""
        longest = 0.0
        for symbol, own in facts.symbols.items():
            if own.state != SymbolState.BEHIND:
                if self._behind_since:
                    self._behind_since.pop(symbol, None)
                continue
            through = own.acknowledged if facts.sampling == 1 else own.settled
            since, before = self._behind_since.get(symbol, (at, None))
            if before != through or self._exchange.away:
                since = at  # it is being filled in, or cannot be
            self._behind_since[symbol] = (since, through)
            longest = max(longest, at - since)
        if longest >= self._thresholds.gap_seconds:
            text = (
                f"Trades are missing for {longest:.0f} s and are not being filled in ({', '.join(self._behind_since)})."
            )
            self._gap.bad(at, _GAP, lambda: text)
        elif not self._gap.quiet:
            self._gap.good(at)

    # --- The conclusion ------------------------------------------------------------------------------------------
    def _finding(self, at: float) -> Finding:
        found = self._process.held(at, self._judge) or self._troubles.worst(self._judge)
        return found or self._process.recovering(self._judge) or self._well(at)

    def _well(self, at: float) -> Finding:
        facts = self._facts
        if self._process.starting:
            return Finding(state=State.HEALTHY, reason="btc_producer is starting.")
        if facts is None:
            return Finding(state=State.UNKNOWN, cause=Cause.UNKNOWN, reason="btc_producer has not been seen lately.")
        if quiet := self._exchange.feed.quiet(at):
            return Finding(state=State.HEALTHY, cause=Cause.QUIET_MARKET, reason=quiet)
        if facts.status == Status.LIVE:
            return Finding(state=State.HEALTHY, reason="Trades come in and are acknowledged by Kafka.")
        return Finding(state=State.HEALTHY, reason=f"btc_producer says that it is {facts.status}.")

    def _figures(self, at: float) -> Figures:
        facts = self._facts
        if facts is None:
            return {}
        received = sum(own.received or 0 for own in facts.symbols.values())
        before, self._rate_from = self._rate_from, (at, received)
        ages = [own.event_age_seconds for own in facts.symbols.values() if own.event_age_seconds is not None]
        return {
            "trades_per_second": _rate(before, at, received),
            "newest_trade_age_seconds": round(min(ages), 1) if ages else None,
            "silent_seconds": round(facts.silent_seconds, 1),
            "behind_exchange": self._exchange.feed.behind,
            "oldest_unacknowledged_seconds": round(facts.oldest_unacknowledged_seconds, 1),
            "request_weight_used": facts.weight_used,
        }


def _left_out(facts: ProducerFacts) -> bool:
    """Whether the topic may stand still, as all that came in meanwhile was left out on purpose."""
    return facts.sampling > 1 and all(own.settled == own.received for own in facts.symbols.values())


def _rate(before: tuple[float, int] | None, at: float, received: int) -> float | None:
    if before is None or at <= before[0] or received < before[1]:
        return None
    return round((received - before[1]) / (at - before[0]), 1)
