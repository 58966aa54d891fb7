"""The rung that asks every endpoint of the exchange; it changes nothing."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from include.health.observations import Code, Probe, ProducerFacts
from include.remediation.model import Finding, Need, RunRequest
from include.remediation.producer_feed import Ids, ProducerLooks, in_words
from include.remediation.rungs_common import Validation
from include.remediation.tools import Tools

if TYPE_CHECKING:
    from include.health.probes.exchange_answers import ExchangeLine

_WEIGHT = 4  # of one question
_WEIGHT_SHARE = 0.8  # of the minute's weight; the rest is the producer's
_TIMEOUTS = (1.0, 2.0)  # connect, answer
_ALL_SECONDS = 12.0  # no further endpoint is asked after this time


class ValidateExchange(Validation):
    """The newest trade of each symbol from each REST endpoint, in order; the first refusal ends it."""

    def __init__(self, tools: Tools, request: RunRequest) -> None:
        super().__init__(tools, request)
        self._looks = ProducerLooks(tools, request)

    def need(self) -> Finding:
        """``NOT_NEEDED`` if one endpoint at least answers; each that does not is named."""
        seen = self.tools.look(Probe.PRODUCER)
        facts = seen.facts if isinstance(seen.facts, ProducerFacts) else None
        if (forbidden := self._looks.limit.known(facts)) is not None:
            return forbidden
        urls, symbols = self.tools.settings.rest_endpoints, self.tools.settings.symbols
        weight = _WEIGHT * len(urls) * len(symbols)
        if facts is not None and facts.weight_used + weight > _WEIGHT_SHARE * facts.weight_limit:
            text = f"Not asked: {facts.weight_used} of {facts.weight_limit} of this minute's weight is used already."
            return Finding(Need.UNKNOWN, text, {"weight_used": facts.weight_used, "weight_limit": facts.weight_limit})
        return self._ask(urls, symbols)

    def _ask(self, urls: tuple[str, ...], symbols: tuple[str, ...]) -> Finding:
        from include.health.probes.exchange_answers import ExchangeLine

        line, began = ExchangeLine(urls, _TIMEOUTS), time.monotonic()
        answers: dict[str, dict[str, Any]] = {}
        try:
            for url in urls:
                if time.monotonic() - began > _ALL_SECONDS:
                    answers[url] = {"text": "not asked, as the others took too long"}
                    continue
                answers[url], wait = _asked(line, url, symbols)
                if wait:
                    self._looks.limit.told(wait)
                    found = self._looks.limit.known() or Finding(Need.FORBIDDEN, "The exchange refuses requests.")
                    return Finding(found.need, f"{url} answered: {found.text}", {**found.facts, "endpoints": answers})
        finally:
            line.close()
        return _summary(answers)


def _asked(line: ExchangeLine, url: str, symbols: tuple[str, ...]) -> tuple[dict[str, Any], float]:
    """What one endpoint says, and how long it wants to be left alone."""
    newest: Ids = {}
    began = time.monotonic()
    for symbol in symbols:
        answer = line.newest_trade(url.rstrip("/"), symbol)
        if answer.code is not Code.OK:
            break
        if answer.trade_id is not None:
            newest[symbol] = answer.trade_id
    seconds = round((time.monotonic() - began) / max(1, len(newest)), 3)
    told = {"code": answer.code.value, "status": answer.status, "seconds": seconds, "newest": newest}
    return {**told, "text": answer.text} if answer.text else told, answer.wait


def _summary(answers: dict[str, dict[str, Any]]) -> Finding:
    good = {url: answer for url, answer in answers.items() if answer.get("code") == Code.OK}
    bad = "; ".join(f"{url}: {answer['text']}" for url, answer in answers.items() if url not in good)
    facts = {"endpoints": answers}
    if not good:
        text = (
            f"No endpoint of the exchange answers ({bad}). It is the exchange's to repair; what is missed is fetched."
        )
        return Finding(Need.BY_PEOPLE, text, facts)
    newest: Ids = {}
    for answer in good.values():
        newest |= {s: max(i, newest.get(s, i)) for s, i in answer["newest"].items()}
    quickest = min(answer["seconds"] for answer in good.values())
    text = f"{len(good)} of {len(answers)} endpoints answer, in {quickest:g} s at best; newest: {in_words(newest)}."
    return Finding(Need.NOT_NEEDED, f"{text} Not so: {bad}." if bad else text, facts)
