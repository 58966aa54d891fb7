"""EXCHANGE, the oracle: the newest trade ids that the exchange has, asked by REST.

Polite: the exchange counts requests by address, and this machine's producer needs them more. While the exchange wants
to be left alone, whether it told us or the producer, nothing is sent.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

from include.health.observations import Code, ExchangeFacts, Observation, Outcome
from include.health.observations import Probe as ProbeName
from include.health.probes.base import blind, failed, seen_well
from include.health.probes.exchange_answers import Answer, ExchangeLine
from include.market.endpoints import Endpoint, rest_ladder
from include.market.weight import Admission, Priority, RetryAfterGate, WeightBudget
from include.runtime.clock import Clock, SystemClock

_WEIGHT = 4  # of one question
_ENOUGH_SECONDS = 2.0  # no further endpoint is tried after this time
_MOST_ENDPOINTS = 3  # tried in one look
_BANNED_STATUS = 418
_LATEST_SECONDS = 3.3  # no further symbol is asked for after this time


class _Round:
    """What one look has brought so far."""

    def __init__(self, symbols: tuple[str, ...]) -> None:
        self.missing, self.refused = list(symbols), list[str]()
        self.newest, self.answers = dict[str, int](), dict[str, Answer]()
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        """Time since the look began."""
        return time.monotonic() - self._began

    def take(self, url: str, symbol: str, answer: Answer) -> None:
        """An endpoint answered for a symbol, or did not."""
        self.answers[url] = answer
        if answer.code is Code.REFUSES:  # about the symbol: another endpoint would refuse it too
            self.refused.append(symbol)
        elif answer.code is not Code.OK:
            return
        self.missing.remove(symbol)
        if answer.trade_id is not None:
            self.newest[symbol] = answer.trade_id


class ExchangeOracle:
    """Asks every five seconds.

    One endpoint is enough. If it fails, one of the other family is asked, then another of its own; never after a
    refusal for too many requests. ``answers`` has a code for each endpoint that was asked: ``refused`` and
    ``unreachable`` mean that nobody could be connected.
    """

    name, every, deadline, overrun = ProbeName.EXCHANGE, 5.0, 4.9, Outcome.FAILED

    def __init__(
        self,
        urls: Iterable[str],
        symbols: tuple[str, ...],
        gate: RetryAfterGate | None = None,
        clock: Clock | None = None,
        line: ExchangeLine | None = None,
    ) -> None:
        """``gate``: shared with whoever learns otherwise that the exchange wants to be left alone."""
        clock = clock or SystemClock()
        self._symbols, self._gate, self._budget = symbols, gate or RetryAfterGate(clock), WeightBudget(clock)
        self._urls = _in_order(list(rest_ladder(urls, clock)))
        self._line = line or ExchangeLine(self._urls)

    def look(self) -> Observation:
        """See :class:`include.health.probes.base.Probe`."""
        if (wait := self._gate.seconds_left()) > 0:
            code = Code.BANNED if self._gate.last_status == _BANNED_STATUS else Code.RATE_LIMITED
            text, facts = f"not asked: {wait:.0f} s left to wait", self._facts(_Round(()))
            return failed(self.name, code, text, number=self._gate.last_status, facts=facts)
        if self._budget.admit(_WEIGHT * len(self._symbols), Priority.ORACLE) is not Admission.ALLOWED:
            return blind(self.name, Code.NOT_AVAILABLE, "not asked: this minute's request weight is spent")
        return self._ask()

    def close(self) -> None:
        """See :class:`include.health.probes.base.Probe`."""
        self._line.close()

    def _ask(self) -> Observation:
        found = _Round(self._symbols)
        for url in self._urls[:_MOST_ENDPOINTS]:
            self._ask_endpoint(url, found)
            answer = found.answers[url]
            if answer.wait:
                return self._failed(answer, found)
            if answer.code in (Code.OK, Code.REFUSES):
                return self._answered(found)
            if found.seconds > _ENOUGH_SECONDS:
                break
        return self._failed(_overall(found.answers), found)

    def _ask_endpoint(self, url: str, found: _Round) -> None:
        """Ask for every symbol that is missing, until the endpoint fails."""
        for symbol in list(found.missing):
            answer = self._line.newest_trade(url, symbol)
            if answer.weight_used is not None:
                self._budget.observe(answer.weight_used)
            if answer.wait and answer.status is not None:
                self._gate.close(answer.wait, answer.status)
            found.take(url, symbol, answer)
            if answer.code not in (Code.OK, Code.REFUSES) or found.seconds > _LATEST_SECONDS:
                return

    def _answered(self, found: _Round) -> Observation:
        if len(found.refused) == len(self._symbols):
            return self._failed(next(iter(found.answers.values())), found)
        notes = {"refused for": found.refused, "no time to ask for": found.missing}
        note = "; ".join(f"{word} {', '.join(symbols)}" for word, symbols in notes.items() if symbols)
        return seen_well(self.name, self._facts(found), note=note or None)

    def _failed(self, why: Answer, found: _Round) -> Observation:
        text = "; ".join(f"{url}: {answer.text}" for url, answer in found.answers.items())
        return failed(self.name, why.code, text, number=why.status, facts=self._facts(found))

    def _facts(self, found: _Round) -> ExchangeFacts:
        codes = {url: answer.code.value for url, answer in found.answers.items()}
        wait = round(self._gate.seconds_left(), 1)
        return ExchangeFacts(
            newest=found.newest, answers=codes, weight_used=self._budget.used, retry_after_seconds=wait
        )


def _in_order(endpoints: list[Endpoint]) -> list[str]:
    """The preferred one, one of another family, then the rest."""
    first = endpoints[0]
    others = sorted(endpoints[1:], key=lambda endpoint: endpoint.kind is first.kind)  # stable
    cousins = [endpoint for endpoint in others if endpoint.kind is not first.kind][:1]
    return [endpoint.url for endpoint in (first, *cousins, *(e for e in endpoints[1:] if e not in cousins))]


def _overall(answers: dict[str, Answer]) -> Answer:
    """The answer that tells most: an error of the exchange, then silence, then what kept us from connecting."""
    order = (
        Code.SERVER_ERROR,
        Code.NOT_AVAILABLE,
        Code.UNKNOWN,
        Code.TIMEOUT,
        Code.CONNECTIVITY,
        Code.REFUSED,
        Code.UNREACHABLE,
    )
    return min(answers.values(), key=lambda answer: order.index(answer.code))
