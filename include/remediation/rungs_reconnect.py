"""The rung that has btc_producer open another connection to the exchange."""

from __future__ import annotations

import contextlib
import os
import signal

from include.health.observations import Outcome, Probe, ProducerFacts
from include.producer.reconnect_requests import Answer
from include.remediation.errors import RungError
from include.remediation.model import Finding, Need, Proof, RunRequest, Work
from include.remediation.producer_feed import (
    WORDLESS,
    Ids,
    ProducerDocument,
    ProducerLooks,
    in_words,
    judged,
    newest_ids,
    passed,
    publishes,
    suspended,
    through,
)
from include.remediation.rungs_common import OnlyWhenNeeded, blind_finding, facts_of
from include.remediation.stream_watch import Stream, StreamWatch
from include.remediation.tools import Tools
from include.remediation.waiting import until
from include.services.errors import ServicesError
from include.services.names import PRODUCER
from include.services.process_table import processes_are_here
from include.services.processes import identify

_ANSWER_SECONDS = 2.0


class ReconnectFeed(OnlyWhenNeeded):
    """The process lives, the exchange trades, and the stream brings nothing: have it open another connection."""

    def __init__(self, tools: Tools, request: RunRequest) -> None:
        self.tools, self._looks = tools, ProducerLooks(tools, request)
        self._watch = StreamWatch(tools, self._looks)
        self._goal: Ids = {}

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
        if facts.status in WORDLESS or not publishes(facts):
            text = f"btc_producer is {facts.status}: another connection to the exchange changes nothing."
            return Finding(Need.NOT_NEEDED, text, {"status": facts.status})
        return self._if_possible(judged(self._looks, self._looks.feed(facts)))

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
        told = until(self.tools.clock, _ANSWER_SECONDS, self._looks.document, lambda d: _asked_since(d, before))
        if told is None or told.stream.last_request is None or not _asked_since(told, before):
            raise RungError(f"btc_producer did not heed the request within {_ANSWER_SECONDS:g} s; it needs a restart.")
        answer = told.stream.last_request.answer
        if answer == Answer.REFUSED_MUST_WAIT:
            raise RungError("btc_producer refused: the exchange wants to be left alone, or it has tried too often.")
        self._watch.begin(self._goal, told)
        facts = {"pid": document.pid, "answer": answer, "goal": self._goal, "url": document.stream.url}
        return Work(f"btc_producer ({document.pid}) was asked to reconnect; its answer: {answer}.", facts)

    def proof(self) -> Proof:
        """The stream brings trades, and what the exchange had then is in the topic; or nothing is traded."""
        facts, document = self._looks.facts(), self._looks.document()
        if facts is None or document is None:
            return Proof(False, "btc_producer does not answer.")
        seen = self._watch.look(facts, document)
        told = {**seen.facts, "through": through(facts), "goal": self._goal}
        if seen.stream is Stream.NOT_YET:
            return Proof(False, seen.text, told)
        if not self._goal or not passed(facts, self._goal):
            return Proof(False, f"{seen.text} Not all that was traded before is in the topic yet.", told)
        return Proof(True, f"{seen.text} Up to {in_words(through(facts))} all is in the topic.", told)

    def roll_back(self) -> Work | None:
        """A connection has no way back."""
        return None

    def _if_possible(self, found: Finding) -> Finding:
        """Nobody here may send a signal into a container; what a restart does more than that, does no harm."""
        if found.need is not Need.NEEDED or processes_are_here(self.tools.settings):
            return found
        text = (
            f"{found.text} btc_producer runs in a container, and the right to send it a signal is given to nobody, so"
            " it cannot be asked for another connection. Its restart, the next rung, opens one."
        )
        return Finding(Need.NOT_NEEDED, text, found.facts)

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


def _asked_since(document: ProducerDocument | None, before: object) -> bool:
    return document is not None and document.stream.last_request != before
