"""Since a step began: does the stream bring trades, or does the exchange itself say that there are none to bring?

Trades that the producer fetches by REST prove nothing about its stream, and neither does a silence that began anew with
a new connection. So only trades that came by stream are counted, by the producer's own figure; and a quiet market is
believed only if the exchange's newest ids are those of before the step.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from include.health.observations import ProducerFacts
from include.remediation.producer_feed import Ids, ProducerDocument, ProducerLooks, in_words, newest_ids, passed
from include.remediation.tools import Tools

_QUIET_SECONDS = 6.0  # as long as the rules of health wait before they call a feed silent
_ASK_SECONDS = 2.0  # between two questions to the exchange


class Stream(StrEnum):
    """What the stream has done since the step began."""

    BRINGS = "brings"  # trades
    QUIET = "quiet"  # no trades, and there were none
    NOT_YET = "not_yet"  # no trades, and there were some, or nobody knows


@dataclass(frozen=True, slots=True)
class Brought:
    """``text``: a sentence for people."""

    stream: Stream
    text: str
    facts: dict[str, Any]


class StreamWatch:
    """:meth:`begin` with the step, then :meth:`look` again and again."""

    def __init__(self, tools: Tools, looks: ProducerLooks) -> None:
        self._clock, self._looks = tools.clock, looks
        self._process: tuple[int, str] | None = None
        self._counted: Ids = {}
        self._newest: Ids = {}
        self._began = self._asked_at = tools.clock.monotonic()

    def begin(self, newest: Ids, document: ProducerDocument | None = None) -> None:
        """``newest``: the exchange's ids before the step; empty if it did not tell: then no market is called quiet.

        ``document``: of the process that goes on; ``None`` if the step starts another one, which counts from nothing.
        """
        self._newest = newest
        self._began = self._asked_at = self._clock.monotonic()
        self.count_from(document)

    def count_from(self, document: ProducerDocument | None) -> None:
        """What had come by stream until now does not count."""
        self._process = None if document is None else document.process
        self._counted = {} if document is None else document.by_stream

    def look(self, facts: ProducerFacts, document: ProducerDocument) -> Brought:
        """Both of the same process, just seen. Asks the exchange, now and then, about symbols that bring nothing."""
        before = self._counted if document.process == self._process else {}
        brought = {symbol: count - before.get(symbol, 0) for symbol, count in document.by_stream.items()}
        lacking = [symbol for symbol, count in sorted(brought.items()) if count <= 0]
        told: dict[str, Any] = {"by_stream": brought, "connected_to": document.stream.url}
        if brought and not lacking:
            return Brought(Stream.BRINGS, "Trades of every symbol have come in by stream.", told)
        some = len(lacking) < len(brought)
        newest = self._ask(_ASK_SECONDS if some else _QUIET_SECONDS)
        told |= {"exchange": newest, "exchange_before": self._newest}
        nothing = f"No trade of {', '.join(lacking) or 'any symbol'} has come in by stream since"
        if newest is None:
            return Brought(Stream.NOT_YET, f"{nothing}.", told)
        if moved := {s: newest[s] for s in lacking if newest.get(s, -1) > self._newest.get(s, newest.get(s, -1))}:
            return Brought(Stream.NOT_YET, f"{nothing}, and the exchange has traded on ({in_words(moved)}).", told)
        if some:  # one connection carries them all
            return Brought(Stream.BRINGS, "Trades have come in by stream.", told)
        if reason := self._not_quiet(facts, document, newest):
            return Brought(Stream.NOT_YET, f"{nothing}, and {reason}.", told)
        return Brought(Stream.QUIET, "Nothing is traded: the exchange has no newer trade than before.", told)

    def _not_quiet(self, facts: ProducerFacts, document: ProducerDocument, newest: Ids) -> str | None:
        """Why the market is not believed to be quiet, or why that is not enough."""
        if document.stream.url is None:
            return "there is no connection"
        if not self._newest or any(newest.get(symbol) != own for symbol, own in self._newest.items()):
            return "the exchange does not tell whether it trades"
        return None if passed(facts, newest) else "the topic has not all that there is yet"

    def _ask(self, after: float) -> Ids | None:
        """The exchange's newest ids; ``None``: so soon after the step, or after the last question, it is not asked."""
        now = self._clock.monotonic()
        if now - self._began < after or now - self._asked_at < _ASK_SECONDS:
            return None
        self._asked_at = now
        return newest_ids(self._looks.limit.ask())
