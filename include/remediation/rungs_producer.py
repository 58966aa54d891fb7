"""Rungs of btc_producer: reconnect to the exchange, restart. For its endpoints see ``rungs_endpoint``, for fewer
trades ``rungs_frequency``.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable

from include.health.observations import Observation, Outcome, Probe, ProducerFacts
from include.playbook.ladder import RungId
from include.producer.reconnect_requests import Answer
from include.producer.status import Status
from include.remediation.circumstances import full_disk, port_conflict
from include.remediation.deadline import Call, DeadlineExceededError
from include.remediation.errors import RungError
from include.remediation.exchange_limit import limited_finding
from include.remediation.model import Finding, Need, Proof, RungWork, RunRequest, Work
from include.remediation.producer_feed import (
    Feed,
    Ids,
    ProducerDocument,
    ProducerLooks,
    in_words,
    newest_ids,
    passed,
    publishes,
    suspended,
    through,
)
from include.remediation.rungs_common import OnlyWhenNeeded, RestartService, blind_finding, facts_of
from include.remediation.rungs_endpoint import SwitchEndpoint
from include.remediation.rungs_exchange import ValidateExchange
from include.remediation.rungs_frequency import ReduceFrequency
from include.remediation.tools import Tools
from include.remediation.waiting import until
from include.services.errors import ServicesError
from include.services.names import PRODUCER
from include.services.processes import identify

_STARTING_SECONDS = 6.0  # it answers 1 to 2 s after its start
_BY_ITSELF_SECONDS = 4.0  # its Kafka client tries again at least every second
_LIMIT_SECONDS = 1.5  # no answer of the exchange in this time is no refusal
_ANSWER_SECONDS = 2.0
_QUIET_LOOK_SECONDS = 2.0  # between two questions to the exchange
_WORDLESS = frozenset({Status.STARTING, Status.STOPPING})


class ReconnectFeed(OnlyWhenNeeded):
    """The process lives, the exchange trades, and the stream brings nothing: have it open another connection."""

    def __init__(self, tools: Tools, request: RunRequest) -> None:
        self.tools, self._looks = tools, ProducerLooks(tools, request)
        self._goal: Ids = {}
        self._done_at = self._asked_at = tools.clock.monotonic()

    def need(self) -> Finding:
        """See :class:`include.remediation.model.RungWork`."""
        if suspended(self.tools):
            return Finding(Need.NOT_NEEDED, "btc_producer is suspended: it needs a restart, not another connection.")
        seen = self.tools.look(Probe.PRODUCER)
        if seen.outcome is Outcome.BLIND:
            return blind_finding(seen, "btc_producer")
        facts = seen.facts
        if not isinstance(facts, ProducerFacts):
            text = f"btc_producer does not answer ({seen.error}): it needs a restart, not another connection."
            return Finding(Need.NOT_NEEDED, text, facts_of(seen))
        if (forbidden := self._looks.limit.known(facts)) is not None:
            return forbidden
        if facts.status in _WORDLESS or not publishes(facts):
            text = f"btc_producer is {facts.status}: another connection to the exchange changes nothing."
            return Finding(Need.NOT_NEEDED, text, {"status": facts.status})
        return _judged(self._looks, self._looks.feed(facts))

    def services(self) -> tuple[str, ...]:
        """See :class:`include.remediation.model.RungWork`."""
        return (PRODUCER,)

    def do(self) -> Work:
        """SIGHUP; the producer's own answer says what came of it."""
        document = self._looks.document()
        if document is None:
            raise RungError("btc_producer does not answer any more; it needs a restart.")
        if document.stream.reconnects_on_request is None:
            raise RungError("This btc_producer does not know the request to reconnect, and would end of it.")
        self._goal = newest_ids(self._looks.limit.ask())
        before = document.stream.last_request
        self._hang_up(document.pid)
        self._done_at = self._asked_at = self.tools.clock.monotonic()
        told = until(self.tools.clock, _ANSWER_SECONDS, self._looks.document, lambda d: _asked_since(d, before))
        if told is None or told.stream.last_request is None or not _asked_since(told, before):
            raise RungError(f"btc_producer did not heed the request within {_ANSWER_SECONDS:g} s; it needs a restart.")
        answer = told.stream.last_request.answer
        if answer == Answer.REFUSED_MUST_WAIT:
            raise RungError("btc_producer refused: the exchange wants to be left alone, or it has tried too often.")
        facts = {"pid": document.pid, "answer": answer, "goal": self._goal, "url": document.stream.url}
        return Work(f"btc_producer ({document.pid}) was asked to reconnect; its answer: {answer}.", facts)

    def proof(self) -> Proof:
        """The stream brings trades, and what the exchange had then is in the topic; or nothing is traded."""
        facts = self._looks.facts()
        if facts is None:
            return Proof(False, "btc_producer does not answer.")
        told = {"through": through(facts), "silent_seconds": facts.silent_seconds, "goal": self._goal}
        since = self.tools.clock.monotonic() - self._done_at
        if facts.stream_proven and facts.silent_seconds < since and self._goal and passed(facts, self._goal):
            return Proof(True, f"Trades come in again: {in_words(through(facts))} are in the topic.", told)
        now = self.tools.clock.monotonic()
        if now - self._asked_at >= _QUIET_LOOK_SECONDS:
            self._asked_at = now
            feed = self._looks.feed(facts)
            if feed.newest and not feed.silent and passed(feed.facts, feed.newest):
                return Proof(True, "Nothing is traded: the newest trades at the exchange are in the topic.", told)
        return Proof(False, f"No trade has come in by stream for {facts.silent_seconds:.0f} s.", told)

    def roll_back(self) -> Work | None:
        """A connection has no way back."""
        return None

    def _hang_up(self, pid: int) -> None:
        """SIGHUP to the producer's process, if the process host knows it by the same id."""
        try:
            hosted = self.tools.controller.status(PRODUCER).pid
        except ServicesError as error:
            raise RungError(f"The process host does not tell about btc_producer: {error}") from error
        process = identify(pid)
        if hosted != pid or process is None:
            raise RungError(f"Process {pid} answers for btc_producer, but the process host has {hosted}.")
        with contextlib.closing(_Descriptor(pid)) as descriptor:
            if identify(pid) == process:
                signal.pidfd_send_signal(descriptor.number, signal.SIGHUP)


class RestartProducer(RestartService):
    """Gone, hung, still silent, or unable to publish although Kafka is well."""

    service = PRODUCER
    stop_seconds = 5.0

    def __init__(self, tools: Tools, request: RunRequest) -> None:
        super().__init__(tools, request)
        self._looks = ProducerLooks(tools, request)
        self._before: Ids = {}  # what the topic had when the new process found it
        self._exchange_asked = False
        self._asked_at = tools.clock.monotonic()

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
        return _judged(self._looks, self._looks.feed(facts))

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

    def proof(self) -> Proof:
        """It acknowledges more than before; or nothing is traded, and it has all that there is."""
        facts = self._looks.facts()
        if facts is None:
            return Proof(False, "btc_producer does not answer yet.")
        reached = through(facts)
        told = {"through": reached, "before": self._before, "status": facts.status}
        if facts.status not in _WORDLESS:
            if any(trade_id > self._before.get(symbol, trade_id) for symbol, trade_id in reached.items()):
                return Proof(True, f"New trades are acknowledged by Kafka: {in_words(reached)}.", told)
            self._before = {**reached, **self._before}
            if self._is_quiet(facts):
                return Proof(True, "Nothing is traded: the newest trades at the exchange are in the topic.", told)
        return Proof(False, f"btc_producer is {facts.status}, and nothing new is acknowledged yet.", told)

    def _look(self) -> Observation:
        return self.tools.look(Probe.PRODUCER)

    def _limited(self) -> Finding | None:
        """Whether the exchange would refuse a new process. What does not answer in time does not refuse."""
        if (known := self._looks.limit.known()) is not None:
            return known
        try:
            seen = Call(self._looks.limit.ask, "look-exchange").result(_LIMIT_SECONDS)
        except DeadlineExceededError:
            return None
        return limited_finding(self._looks.limit, seen)

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

    def _is_quiet(self, facts: ProducerFacts) -> bool:
        now = self.tools.clock.monotonic()
        if now - self._asked_at < _QUIET_LOOK_SECONDS:
            return False
        self._asked_at = now
        feed = self._looks.feed(facts)
        return bool(feed.newest) and not feed.silent and passed(feed.facts, feed.newest)


class _Descriptor:
    """A pidfd: holds the process that has the pid now."""

    def __init__(self, pid: int) -> None:
        try:
            self.number = os.pidfd_open(pid)
        except ProcessLookupError as error:
            raise RungError("btc_producer has just ended.") from error

    def close(self) -> None:
        """Free it."""
        os.close(self.number)


def _judged(looks: ProducerLooks, feed: Feed) -> Finding:
    """Of a producer that answers and publishes."""
    if (forbidden := limited_finding(looks.limit, feed.exchange)) is not None:
        return forbidden
    if feed.silent:
        return Finding(Need.NEEDED, feed.in_words(), feed.in_facts())
    if feed.exchange.outcome is Outcome.OK:
        text = f"btc_producer is {feed.facts.status} and receives what is traded ({in_words(feed.newest)})."
        return Finding(Need.NOT_NEEDED, text, feed.in_facts())
    if feed.exchange.outcome is Outcome.BLIND:
        return blind_finding(feed.exchange, "The exchange")
    text = f"The exchange does not answer ({feed.exchange.error}): btc_producer tries again by itself."
    return Finding(Need.NOT_NEEDED, text, {**facts_of(feed.exchange), **feed.in_facts()})


def _works(facts: ProducerFacts) -> bool:
    return publishes(facts) and facts.status not in _WORDLESS


def _settled(seen: Observation) -> bool:
    facts = seen.facts
    return seen.outcome is Outcome.BLIND or (isinstance(facts, ProducerFacts) and facts.status not in _WORDLESS)


def _asked_since(document: ProducerDocument | None, before: object) -> bool:
    return document is not None and document.stream.last_request != before


PRODUCER_RUNGS: dict[RungId, Callable[[Tools, RunRequest], RungWork]] = {
    RungId.RECONNECT_FEED: ReconnectFeed,
    RungId.RESTART_PRODUCER: RestartProducer,
    RungId.SWITCH_ENDPOINT: SwitchEndpoint,
    RungId.VALIDATE_EXCHANGE: ValidateExchange,
    RungId.REDUCE_FREQUENCY: ReduceFrequency,
}
