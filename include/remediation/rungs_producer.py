"""The rung that restarts btc_producer, and the table of all its rungs."""

from __future__ import annotations

from collections.abc import Callable

from include.health.observations import Observation, Outcome, Probe, ProducerFacts
from include.playbook.ladder import RungId
from include.remediation.circumstances import full_disk, port_conflict
from include.remediation.deadline import Call, DeadlineExceededError
from include.remediation.exchange_limit import limited_finding
from include.remediation.model import Finding, Need, Proof, RungWork, RunRequest, Work
from include.remediation.producer_feed import (
    WORDLESS,
    Ids,
    ProducerLooks,
    in_words,
    judged,
    newest_ids,
    publishes,
    suspended,
    through,
)
from include.remediation.rungs_common import RestartService, blind_finding, facts_of
from include.remediation.rungs_endpoint import SwitchEndpoint
from include.remediation.rungs_exchange import ValidateExchange
from include.remediation.rungs_frequency import ReduceFrequency
from include.remediation.rungs_reconnect import ReconnectFeed
from include.remediation.stream_watch import Stream, StreamWatch
from include.remediation.tools import Tools
from include.remediation.waiting import until
from include.services.names import PRODUCER

_STARTING_SECONDS = 6.0  # it answers 1 to 2 s after its start
_BY_ITSELF_SECONDS = 4.0  # its Kafka client tries again at least every second
_LIMIT_SECONDS = 1.5  # no answer of the exchange in this time is no refusal


class RestartProducer(RestartService):
    """Gone, hung, still silent, or unable to publish although Kafka is well."""

    service = PRODUCER
    stop_seconds = 5.0

    def __init__(self, tools: Tools, request: RunRequest) -> None:
        super().__init__(tools, request)
        self._looks = ProducerLooks(tools, request)
        self._before: Ids = {}  # what the topic had when the new process found it
        self._exchange_asked = False
        self._watch = StreamWatch(tools, self._looks)

    def answers(self) -> Finding:
        """See :class:`RestartService`."""
        self._exchange_asked = False
        if suspended(self.tools):
            return Finding(Need.NEEDED, "btc_producer is suspended and does not answer.")
        seen = until(self.tools.clock, self.seconds_left_to_start(_STARTING_SECONDS), self._look, _settled)
        if seen.outcome is Outcome.BLIND:
            return blind_finding(seen, "btc_producer")
        facts = seen.facts
        if not isinstance(facts, ProducerFacts):
            return Finding(Need.NEEDED, f"btc_producer lives and does not answer: {seen.error}.", facts_of(seen))
        if (forbidden := self._looks.limit.known(facts)) is not None:
            return forbidden
        if (found := self._of_publishing(facts)) is not None:
            return found
        self._exchange_asked = True
        return judged(self._looks, self._looks.feed(facts))

    def obstacle(self) -> Finding | None:
        """The exchange forbids it; or, of a process that is gone: a stranger has its port, or the disk is full."""
        if self.pid() is None:
            settings = self.tools.settings
            found = port_conflict(settings, PRODUCER, ("producer_health_port",)) or full_disk(
                PRODUCER, settings.log_dir
            )
            if found is not None:
                return found
        return None if self._exchange_asked else self._limited()

    def do(self) -> Work:
        """Ask the exchange what it has, so that a quiet market can be told from a silent stream; then restart."""
        before = self._ask_shortly()
        work = super().do()
        self._watch.begin({} if before is None else newest_ids(before))
        return work

    def proof(self) -> Proof:
        """Its stream brings trades, and it acknowledges more than before; or nothing is traded, and it has all."""
        facts, document = self._looks.facts(), self._looks.document()
        if facts is None or document is None:
            return Proof(False, "btc_producer does not answer yet.")
        reached = through(facts)
        told = {"through": reached, "before": self._before, "status": facts.status}
        if facts.status in WORDLESS:
            return Proof(False, f"btc_producer is {facts.status}.", told)
        seen, goes_on = self._watch.look(facts, document), _beyond(reached, self._before)
        self._before = {**reached, **self._before}
        told |= seen.facts
        if seen.stream is Stream.QUIET or (seen.stream is Stream.BRINGS and goes_on):
            return Proof(True, f"{seen.text} Up to {in_words(reached)} all is in the topic.", told)
        acknowledged = "acknowledged by Kafka: " + in_words(reached) if goes_on else "nothing new is acknowledged yet"
        return Proof(False, f"btc_producer is {facts.status}; {acknowledged}. {seen.text}", told)

    def _look(self) -> Observation:
        return self.tools.look(Probe.PRODUCER)

    def _limited(self) -> Finding | None:
        """Whether the exchange would refuse a new process. What does not answer in time does not refuse."""
        if (known := self._looks.limit.known()) is not None:
            return known
        seen = self._ask_shortly()
        return None if seen is None else limited_finding(self._looks.limit, seen)

    def _ask_shortly(self) -> Observation | None:
        """``None``: it does not answer in time."""
        try:
            return Call(self._looks.limit.ask, "look-exchange").result(_LIMIT_SECONDS)
        except DeadlineExceededError:
            return None

    def _of_publishing(self, facts: ProducerFacts) -> Finding | None:
        """``None`` if Kafka takes what it has. A broker that has just come back is found by it within seconds."""
        if _works(facts):
            return None
        newest = until(self.tools.clock, _BY_ITSELF_SECONDS, lambda: self._looks.facts() or facts, _works)
        if _works(newest):
            return None
        waits = f"btc_producer is {newest.status} and has {newest.buffered} trades that Kafka has not acknowledged"
        canary = self.tools.look(Probe.KAFKA_CANARY)
        if canary.outcome is Outcome.OK:
            return Finding(Need.NEEDED, f"{waits}, although the broker is well.", {"buffered": newest.buffered})
        if canary.outcome is Outcome.BLIND:
            return blind_finding(canary, "The broker")
        text = f"{waits}, and the broker is the reason ({canary.error}): a restart would only lose what is held."
        return Finding(Need.FORBIDDEN, text, {**facts_of(canary), "buffered": newest.buffered})


def _beyond(reached: Ids, before: Ids) -> bool:
    """Whether any symbol has got further."""
    return any(trade_id > before.get(symbol, trade_id) for symbol, trade_id in reached.items())


def _works(facts: ProducerFacts) -> bool:
    return publishes(facts) and facts.status not in WORDLESS


def _settled(seen: Observation) -> bool:
    facts = seen.facts
    return seen.outcome is Outcome.BLIND or (isinstance(facts, ProducerFacts) and facts.status not in WORDLESS)


PRODUCER_RUNGS: dict[RungId, Callable[[Tools, RunRequest], RungWork]] = {
    RungId.RECONNECT_FEED: ReconnectFeed,
    RungId.RESTART_PRODUCER: RestartProducer,
    RungId.SWITCH_ENDPOINT: SwitchEndpoint,
    RungId.VALIDATE_EXCHANGE: ValidateExchange,
    RungId.REDUCE_FREQUENCY: ReduceFrequency,
}
