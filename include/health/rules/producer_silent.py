"""btc_producer sends nothing: detection §3 S4. Is it the process, the exchange, the network, a limit, the form of the
frames, Kafka, or nobody at all because nothing is traded?
"""

from __future__ import annotations

from include.health.config import DetectorConfig
from include.health.observations import (
    Code,
    ExchangeFacts,
    Observation,
    OffsetsFacts,
    Outcome,
    Probe,
    ProducerFacts,
)
from include.health.rules.base import Figures, Finding, Judge
from include.health.rules.rate_limits import Limited, RateLimits
from include.health.rules.supervised_process import SupervisedProcess
from include.health.rules.trade_feed import TradeFeed
from include.health.rules.troubles import Kind, Troubles
from include.health.verdicts import State, Verdict
from include.playbook.names import Cause, Component, ScenarioId, Severity, Symptom
from include.playbook.thresholds import ProducerThresholds
from include.producer.flood import FloodState
from include.producer.publisher import PublisherState
from include.producer.status import Status
from include.producer.tracks import SymbolState

_FEWEST_FRAMES = 100  # before a share of invalid ones means anything
_STRAY_SHARE = 0.02  # of the share that is a flood: worth a record
_TOPIC_STILL_SECONDS, _TOPIC_STILL_MOVES, _TOPIC_LOOK_SECONDS = 10.0, 2, 3.5
_CALM_LOOK_SECONDS, _CALM_SILENCE_SECONDS = 1.9, 3.0
_WORDLESS = (Status.STARTING, Status.STOPPING)
_KAFKA = (Cause.KAFKA_CONNECTION, Symptom.KAFKA_TRANSPORT)

_FEED_SILENT = Kind(Cause.FEED_SILENT, Symptom.FEED_SILENT, Probe.PRODUCER, direct=True)
_BANNED = Kind(Cause.BANNED, Symptom.RATE_LIMITED, Probe.EXCHANGE, direct=True, severity=Severity.SEV_2)
_BANNED_STREAM_ON = Kind(Cause.BANNED, Symptom.RATE_LIMITED, Probe.EXCHANGE, direct=True, severity=Severity.SEV_3)
_AGAIN = Kind(Cause.RATE_LIMITED, Symptom.RATE_LIMITED, Probe.PRODUCER, direct=True, severity=Severity.SEV_2)
_AGAIN_STREAM_ON = Kind(Cause.RATE_LIMITED, Symptom.RATE_LIMITED, Probe.PRODUCER, direct=True, severity=Severity.SEV_3)
_ONCE = Kind(Cause.RATE_LIMITED, Symptom.RATE_LIMITED, Probe.PRODUCER, direct=True, warning=True)
_BAD_FRAMES = Kind(Cause.SERIALIZATION, Symptom.BAD_FRAMES, Probe.PRODUCER, direct=True)
_STRAY_FRAMES = Kind(Cause.SERIALIZATION, Symptom.BAD_FRAMES, Probe.PRODUCER, direct=True, warning=True)
_OUTAGE = Kind(Cause.EXCHANGE_OUTAGE, Symptom.EXCHANGE_UNREACHABLE, Probe.EXCHANGE, direct=True)
_NETWORK = Kind(Cause.NETWORK, Symptom.EXCHANGE_UNREACHABLE, Probe.EXCHANGE, direct=True)
_PART_AWAY = Kind(Cause.EXCHANGE_OUTAGE, Symptom.EXCHANGE_UNREACHABLE, Probe.EXCHANGE, direct=True, warning=True)
_NOT_PUBLISHED = Kind(*_KAFKA, Probe.PRODUCER)
_GAP = Kind(Cause.SILENT_LOSS, Symptom.ID_GAP, Probe.PRODUCER, direct=True)
_NO_MESSAGES = Kind(Cause.UNKNOWN, Symptom.NO_NEW_MESSAGES, Probe.OFFSETS)


class ProducerSilentRules:
    """See the module's text and :class:`include.health.rules.base.Rules`."""

    scenario = ScenarioId.PRODUCER_SILENT
    target = Component.PRODUCER
    probes = frozenset({Probe.PROCESSES, Probe.PRODUCER, Probe.EXCHANGE, Probe.OFFSETS, Probe.LOGS})
    needs = frozenset({Probe.PRODUCER})

    def __init__(self, thresholds: ProducerThresholds, config: DetectorConfig) -> None:
        self._thresholds = t = thresholds
        self._judge = Judge(self.scenario, self.target, thresholds, config)
        self._troubles = Troubles(self._judge.evidence)
        define = self._troubles.define
        self._process = SupervisedProcess(
            self.target.value,
            Probe.PRODUCER,
            thresholds=thresholds,
            config=config,
            troubles=self._troubles,
            useless=(Cause.UNKNOWN, Symptom.NO_NEW_MESSAGES),
        )
        self._limited = define(1, 2, dwell=t.dwell_seconds)
        self._frames = define(2, 3, dwell=t.dwell_seconds)
        self._outage = define(1, 2, dwell=t.dwell_seconds)
        self._feed_silent = define(1, 3, dwell=t.dwell_seconds)
        self._publishing = define(2, 3, dwell=t.dwell_seconds)
        self._gap = define(1, 3, dwell=t.dwell_seconds)
        self._topic = define(2, 2, dwell=t.dwell_seconds)
        self._once, self._stray, self._part_away, self._weight = (define(3, 3) for _ in range(4))
        self._feed, self._limits = TradeFeed(t.stalled_seconds), RateLimits(t.limited_again_seconds)
        self._facts: ProducerFacts | None = None
        self._oracle_failures, self._oracle_code = 0, Code.OK
        self._network = False
        self._behind_since: dict[str, tuple[float, int | None]] = {}  # symbol → since when, acknowledged then
        self._end, self._end_at, self._moves_then = -1, 0.0, 0
        self._look_due = self._topic_due = 0.0
        self._rate_from: tuple[float, int] | None = None
        self.handlers = {
            Probe.PROCESSES: self._process.processes,
            Probe.PRODUCER: self._producer,
            Probe.EXCHANGE: self._exchange,
            Probe.OFFSETS: self._offsets,
            Probe.LOGS: self._process.logs,
        }

    def observe(self, at: float, observation: Observation) -> None:
        """See :class:`Rules`."""
        if observation.outcome is not Outcome.BLIND:
            self.handlers[observation.probe](at, observation)

    def verdict(self, at: float) -> Verdict:
        """See :class:`Rules`."""
        if not self._troubles.changed and self._judge.settled(at):
            return self._judge.verdict
        self._troubles.changed = False
        return self._judge.conclude(at, self._finding(at), self._figures(at))

    def resumed(self, at: float) -> None:
        """See :class:`Rules`."""
        self._troubles.interrupted()
        self._process.interrupted()
        self._feed.interrupted()
        self._judge.resumed(at)
        self._behind_since.clear()
        self._oracle_failures, self._end, self._rate_from, self._facts = 0, -1, None, None

    # --- What is seen --------------------------------------------------------------------------------------------
    def _producer(self, at: float, observation: Observation) -> None:
        facts = observation.facts
        if observation.outcome is not Outcome.OK or not isinstance(facts, ProducerFacts):
            self._facts = None
            self._process.unanswered(at, observation)
            return
        self._facts = facts
        self._process.answered(at)
        calm = self._calm(facts)
        if calm and at < self._look_due:
            return
        self._look_due = at + _CALM_LOOK_SECONDS
        self._feed.producer(at, facts)
        self._limits.producer(at, facts)
        if calm and not self._feed.lags:
            return
        self._judge_publishing(at, facts)
        if facts.status in _WORDLESS:
            return
        self._process.works()
        self._judge_feed(at, facts)
        self._judge_limits(at, facts)
        self._judge_frames(at, facts)
        self._judge_gap(at, facts)
        self._judge_ways(at, facts)

    def _calm(self, facts: ProducerFacts) -> bool:
        """Nothing was wrong at the last look, and at first sight nothing is: a closer look every other time will do."""
        return (
            facts.status == Status.LIVE
            and facts.silent_seconds < _CALM_SILENCE_SECONDS
            and facts.oldest_unacknowledged_seconds < _CALM_SILENCE_SECONDS
            and not facts.window_invalid
            and not facts.open_breakers
            and not self._oracle_failures
            and not self._limits.lately
            and facts.times_limited == self._limits.times
            and facts.weight_used <= self._thresholds.weight_share * facts.weight_limit
            and not self._process.starting
            and self._troubles.quiet
        )

    def _exchange(self, at: float, observation: Observation) -> None:
        self._limits.oracle(at, observation)
        if observation.outcome is Outcome.OK:
            self._oracle_failures = 0
            if isinstance(observation.facts, ExchangeFacts):
                self._feed.exchange(at, observation.facts)
            if not self._outage.quiet:
                self._outage.good(at)
            return
        if observation.code in (Code.RATE_LIMITED, Code.BANNED):  # it answers
            self._oracle_failures = 0
            self._troubles.changed = True
            return
        answers = observation.facts.answers if isinstance(observation.facts, ExchangeFacts) else {}
        codes = set(answers.values()) or {observation.code.value}
        self._oracle_failures += 1
        self._oracle_code, self._network = observation.code, codes == {Code.UNREACHABLE.value}

    def _offsets(self, at: float, observation: Observation) -> None:
        facts = observation.facts
        if not isinstance(facts, OffsetsFacts):
            self._end = -1
            return
        if at < self._topic_due:
            return
        self._topic_due = at + _TOPIC_LOOK_SECONDS
        end, moves = 0, self._feed.exchange_moves
        for partition in facts.partitions.values():
            end += partition.end
        if end != self._end or self._facts is None or not self._process.serving:
            self._end, self._end_at, self._moves_then = end, at, moves
            if not self._topic.quiet:
                self._topic.good(at)
        elif moves - self._moves_then > _TOPIC_STILL_MOVES and at - self._end_at >= _TOPIC_STILL_SECONDS:
            text = f"crypto-trades has had no new message for {at - self._end_at:.0f} s, while the exchange trades."
            self._topic.bad(at, _NO_MESSAGES, lambda: text)

    # --- What it means -------------------------------------------------------------------------------------------
    def _judge_feed(self, at: float, facts: ProducerFacts) -> None:
        silence = facts.silent_seconds
        failures = self._oracle_failures + (self._thresholds.oracle_failures if self._feed.unreachable(at) else 0)
        if (
            self._oracle_failures
            and failures >= self._thresholds.oracle_failures
            and silence >= self._thresholds.exchange_outage_seconds
        ):
            code = self._oracle_code.value
            text = f"The exchange does not answer ({code}), and no trade has come in for {silence:.0f} s."
            self._outage.bad(at, _NETWORK if self._network else _OUTAGE, lambda: text)
        elif not self._outage.quiet and silence < self._thresholds.stalled_seconds:
            self._outage.good(at)
        taken = facts.publisher_state == PublisherState.OPEN  # else it takes no trades because Kafka is away
        text_silent = self._feed.silent(at, facts) if taken and not self._oracle_failures else None
        if text_silent is not None:
            self._feed_silent.bad(at, _FEED_SILENT, lambda: text_silent)
        elif not self._feed_silent.quiet and (silence < self._thresholds.stalled_seconds or self._feed.quiet(at)):
            self._feed_silent.good(at)

    def _judge_limits(self, at: float, facts: ProducerFacts) -> None:
        limited = self._limits.now(at)
        if limited is Limited.NO:
            for trouble in (self._limited, self._once):
                if not trouble.quiet:
                    trouble.good(at)
            return
        if limited is not Limited.ONCE and not self._once.quiet:
            self._once.good(at)
        receiving = facts.silent_seconds < self._thresholds.stalled_seconds
        stream = "trades still come in" if receiving else f"no trade has come in for {facts.silent_seconds:.0f} s"
        wait = self._limits.retry_after
        if limited is Limited.ONCE:
            self._once.bad(at, _ONCE, lambda: f"The exchange has refused a request (HTTP 429); {stream}.")
        elif limited is Limited.BANNED:
            kind = _BANNED_STREAM_ON if receiving else _BANNED
            self._limited.bad(at, kind, lambda: f"The exchange has banned this address (HTTP 418); {stream}.")
        else:
            kind = _AGAIN_STREAM_ON if receiving else _AGAIN
            text = f"The exchange refuses requests again (HTTP 429, {wait:.0f} s to wait); {stream}."
            self._limited.bad(at, kind, lambda: text)

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
            since, acknowledged = self._behind_since.get(symbol, (at, None))
            if acknowledged != own.acknowledged or self._outage.confirmed:
                since = at  # it is being filled in, or cannot be
            self._behind_since[symbol] = (since, own.acknowledged)
            longest = max(longest, at - since)
        if longest >= self._thresholds.gap_seconds:
            text = (
                f"Trades are missing for {longest:.0f} s and are not being filled in ({', '.join(self._behind_since)})."
            )
            self._gap.bad(at, _GAP, lambda: text)
        elif not self._gap.quiet:
            self._gap.good(at)

    def _judge_ways(self, at: float, facts: ProducerFacts) -> None:
        if facts.status == Status.POLLING:
            self._part_away.bad(at, _PART_AWAY, lambda: "No stream can be relied on; trades come in by REST.")
        elif self._oracle_failures >= self._thresholds.oracle_failures and not self._outage.confirmed:
            reason = f"The exchange does not answer by REST ({self._oracle_code.value}); trades come in by stream."
            self._part_away.bad(at, _PART_AWAY, lambda: reason)
        elif facts.open_breakers:
            text = f"Endpoints that keep failing are left alone: {', '.join(facts.open_breakers)}."
            self._part_away.bad(at, _PART_AWAY, lambda: text)
        elif not self._part_away.quiet:
            self._part_away.good(at)
        if facts.weight_used > self._thresholds.weight_share * facts.weight_limit > 0:
            text = (
                f"{facts.weight_used} of {facts.weight_limit} of the exchange's request weight is used in this minute."
            )
            self._weight.bad(at, _ONCE, lambda: text)
        elif not self._weight.quiet:
            self._weight.good(at)

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
        if quiet := self._feed.quiet(at):
            return Finding(state=State.HEALTHY, cause=Cause.QUIET_MARKET, reason=quiet)
        if facts.status == Status.LIVE:
            return Finding(state=State.HEALTHY, reason="Trades come in and are acknowledged by Kafka.")
        return Finding(state=State.HEALTHY, reason=f"btc_producer says that it is {facts.status}.")

    def _figures(self, at: float) -> Figures:
        facts = self._facts
        if facts is None:
            return {}
        received, before = self._feed.received, self._rate_from
        self._rate_from = (at, received)
        ages = [own.event_age_seconds for own in facts.symbols.values() if own.event_age_seconds is not None]
        return {
            "trades_per_second": _rate(before, at, received),
            "newest_trade_age_seconds": round(min(ages), 1) if ages else None,
            "silent_seconds": round(facts.silent_seconds, 1),
            "behind_exchange": self._feed.behind,
            "oldest_unacknowledged_seconds": round(facts.oldest_unacknowledged_seconds, 1),
            "request_weight_used": facts.weight_used,
        }


def _rate(before: tuple[float, int] | None, at: float, received: int) -> float | None:
    if before is None or at <= before[0] or received < before[1]:
        return None
    return round((received - before[1]) / (at - before[0]), 1)
