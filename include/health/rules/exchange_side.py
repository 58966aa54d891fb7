"""What btc_producer's troubles with the exchange are: an outage, the network, a limit, or a feed that is silent."""

from __future__ import annotations

from include.health.observations import Code, ExchangeFacts, Observation, Outcome, Probe, ProducerFacts
from include.health.rules.rate_limits import Limited, RateLimits
from include.health.rules.trade_feed import TradeFeed
from include.health.rules.troubles import Kind, Troubles
from include.playbook.names import Cause, Severity, Symptom
from include.playbook.thresholds import ProducerThresholds
from include.producer.publisher import PublisherState
from include.producer.silence import Verdict as Silence
from include.producer.status import Status

_FEED_SILENT = Kind(Cause.FEED_SILENT, Symptom.FEED_SILENT, Probe.PRODUCER, direct=True)
_STREAM_SILENT = Kind(Cause.FEED_SILENT, Symptom.FEED_SILENT, Probe.PRODUCER, direct=True, severity=Severity.SEV_3)
_BANNED = Kind(Cause.BANNED, Symptom.RATE_LIMITED, Probe.EXCHANGE, direct=True, severity=Severity.SEV_2)
_BANNED_STREAM_ON = Kind(Cause.BANNED, Symptom.RATE_LIMITED, Probe.EXCHANGE, direct=True, severity=Severity.SEV_3)
_AGAIN = Kind(Cause.RATE_LIMITED, Symptom.RATE_LIMITED, Probe.PRODUCER, direct=True, severity=Severity.SEV_2)
_AGAIN_STREAM_ON = Kind(Cause.RATE_LIMITED, Symptom.RATE_LIMITED, Probe.PRODUCER, direct=True, severity=Severity.SEV_3)
_ONCE = Kind(Cause.RATE_LIMITED, Symptom.RATE_LIMITED, Probe.PRODUCER, direct=True, warning=True)
_OUTAGE = Kind(Cause.EXCHANGE_OUTAGE, Symptom.EXCHANGE_UNREACHABLE, Probe.EXCHANGE, direct=True)
_NETWORK = Kind(Cause.NETWORK, Symptom.EXCHANGE_UNREACHABLE, Probe.EXCHANGE, direct=True)
_PART_AWAY = Kind(Cause.EXCHANGE_OUTAGE, Symptom.EXCHANGE_UNREACHABLE, Probe.EXCHANGE, direct=True, warning=True)

_FEWEST_FAILURES = 2  # one answer may be late, in a market that happens to be quiet
_STEADY_LOOKS = 60  # a stream that fell silent often does so again within a minute


class ExchangeSide:
    """Compares what the exchange says of itself with what the producer says of it."""

    def __init__(self, thresholds: ProducerThresholds, troubles: Troubles) -> None:
        self._thresholds, self._troubles = thresholds, troubles
        define, dwell = troubles.define, thresholds.dwell_seconds
        self._limited, self._outage = define(1, 2, dwell=dwell), define(1, 2, dwell=dwell)
        self._feed_silent = define(1, 3, dwell=dwell)
        self._stream_silent = define(1, _STEADY_LOOKS, dwell=dwell)
        self._once, self._part_away, self._weight = (define(3, 3) for _ in range(3))
        self.feed, self._limits = TradeFeed(thresholds.stalled_seconds), RateLimits(thresholds.limited_again_seconds)
        self._oracle_failures, self._oracle_code = 0, Code.OK
        self._network = False

    def oracle(self, at: float, observation: Observation) -> None:
        """The exchange was asked."""
        self._limits.oracle(at, observation)
        if observation.outcome is Outcome.OK:
            self._oracle_failures = 0
            if isinstance(observation.facts, ExchangeFacts):
                self.feed.exchange(at, observation.facts)
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

    def told(self, at: float, facts: ProducerFacts) -> None:
        """The producer told of itself."""
        self.feed.producer(at, facts)
        self._limits.producer(at, facts)

    def calm(self, facts: ProducerFacts) -> bool:
        """Whether nothing is wrong with the exchange at first sight."""
        return (
            not facts.open_breakers
            and not self._oracle_failures
            and not self._limits.lately
            and facts.times_limited == self._limits.times
            and facts.weight_used <= self._thresholds.weight_share * facts.weight_limit
        )

    @property
    def away(self) -> bool:
        """Whether the exchange is known not to answer."""
        return self._outage.confirmed

    def judge(self, at: float, facts: ProducerFacts) -> None:
        """What the producer told, looked at closely."""
        self._judge_feed(at, facts)
        self._judge_limits(at, facts)
        self._judge_ways(at, facts)

    def interrupted(self) -> None:
        """Nobody looked for a while."""
        self.feed.interrupted()
        self._oracle_failures = 0

    def _judge_feed(self, at: float, facts: ProducerFacts) -> None:
        silence = facts.silent_seconds
        failures = self._oracle_failures + (self._thresholds.oracle_failures if self.feed.unreachable(at) else 0)
        if (
            self._oracle_failures >= _FEWEST_FAILURES
            and failures >= self._thresholds.oracle_failures
            and silence >= self._thresholds.exchange_outage_seconds
        ):
            code = self._oracle_code.value
            text = f"The exchange does not answer ({code}), and no trade has come in for {silence:.0f} s."
            self._outage.bad(at, _NETWORK if self._network else _OUTAGE, lambda: text)
        elif not self._outage.quiet and silence < self._thresholds.stalled_seconds:
            self._outage.good(at)
        taken = facts.publisher_state == PublisherState.OPEN  # else it takes no trades because Kafka is away
        text_silent = self.feed.silent(at, facts) if taken and not self._oracle_failures else None
        if text_silent is not None:
            self._feed_silent.bad(at, _FEED_SILENT, lambda: text_silent)
        elif not self._feed_silent.quiet and (silence < self._thresholds.stalled_seconds or self.feed.quiet(at)):
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

    def _judge_ways(self, at: float, facts: ProducerFacts) -> None:
        silent = facts.status == Status.POLLING and facts.silence_verdict == Silence.FEED_AT_FAULT
        if silent:
            text = "The stream brings nothing although the exchange trades; trades come in by REST."
            self._stream_silent.bad(at, _STREAM_SILENT, lambda: text)
        elif not self._stream_silent.quiet:
            self._stream_silent.good(at)
        if facts.status == Status.POLLING and not silent:
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
