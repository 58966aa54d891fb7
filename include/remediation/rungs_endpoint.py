"""The rung that prefers another endpoint of the exchange for a time."""

from __future__ import annotations

import asyncio

from include.health.observations import Outcome, Probe, ProducerFacts
from include.market.breaker import BreakerState
from include.remediation.errors import RungError
from include.remediation.exchange_limit import limited_finding
from include.remediation.model import Finding, Need, Proof, RunRequest, Work
from include.remediation.producer_feed import (
    Ids,
    ProducerDocument,
    ProducerLooks,
    in_words,
    newest_ids,
    restart_producer,
    through,
)
from include.remediation.rungs_common import OnlyWhenNeeded, blind_finding, facts_of
from include.remediation.stream_watch import Stream, StreamWatch
from include.remediation.tools import Tools
from include.runtime.temporary_settings import TemporarySetting
from include.services.names import PRODUCER

AVOID = "avoid_endpoints"  # the setting
_TRY_SECONDS = 4.0  # for a connection and its first trade


class SwitchEndpoint(OnlyWhenNeeded):
    """The present stream endpoint brings nothing and another one does: have it tried last for a time."""

    def __init__(self, tools: Tools, request: RunRequest) -> None:
        self.tools, self.request = tools, request
        self._looks = ProducerLooks(tools, request)
        self._watch = StreamWatch(tools, self._looks)
        self._url: str | None = None
        self._before: Ids = {}
        self._replaced: TemporarySetting | None = None

    def need(self) -> Finding:
        """See :class:`include.remediation.model.RungWork`."""
        if len(self.tools.settings.stream_endpoints) < 2:
            return Finding(Need.NOT_NEEDED, "There is only one endpoint, so there is none to switch to.")
        seen = self.tools.look(Probe.PRODUCER)
        if seen.outcome is Outcome.BLIND:
            return blind_finding(seen, "btc_producer")
        document = self._looks.document()
        if not isinstance(seen.facts, ProducerFacts) or document is None:
            text = "btc_producer does not answer: it needs a restart, not another endpoint."
            return Finding(Need.NOT_NEEDED, text, facts_of(seen))
        return self._of_feed(seen.facts) or self._another(self._avoided(document))

    def services(self) -> tuple[str, ...]:
        """See :class:`include.remediation.model.RungWork`."""
        return (PRODUCER,)

    def do(self) -> Work:
        """Write the setting, restart with it."""
        document = self._looks.document()
        if document is None:
            raise RungError("btc_producer does not answer any more; it needs a restart.")
        avoid, before = self._avoided(document), self.tools.temporary.get(AVOID)
        if before is None or before.value != ",".join(avoid):
            self._replaced = before
            self.tools.temporary.put(
                TemporarySetting(
                    name=AVOID,
                    value=",".join(avoid),
                    before=before.value if before else ",".join(self.tools.settings.avoid_endpoints),
                    incident_id=self.request.incident_id,
                    by=self.request.requested_by,
                    because=f"{avoid[-1]} brings no trades",
                    since=self.tools.now().isoformat(timespec="seconds"),
                )
            )
        newest = newest_ids(self._looks.limit.ask())
        facts = restart_producer(self.tools)
        self._url = None
        self._watch.begin(newest)
        return Work(
            f"btc_producer was restarted; {', '.join(avoid)} is tried last for a time.", {**facts, AVOID: avoid}
        )

    def proof(self) -> Proof:
        """Another endpoint brings trades, and they are acknowledged; or nothing is traded."""
        facts, document, put = self._looks.facts(), self._looks.document(), self.tools.temporary.get(AVOID)
        if facts is None or document is None or put is None:
            return Proof(False, "btc_producer does not answer yet.")
        reached, url = through(facts), document.stream.url
        told = {"url": url, "through": reached, AVOID: put.value}
        if url is None or url in put.value.split(","):
            return Proof(False, f"btc_producer is {facts.status}, connected to {url or 'no endpoint'}.", told)
        if url != self._url:  # what came by another connection tells nothing about this one
            self._url, self._before = url, reached
            self._watch.count_from(document)
        seen = self._watch.look(facts, document)
        told |= seen.facts
        if seen.stream is Stream.BRINGS and any(i > self._before.get(s, i - 1) for s, i in reached.items()):
            return Proof(True, f"{url} brings trades, and Kafka acknowledges them ({in_words(reached)}).", told)
        if seen.stream is Stream.QUIET:
            return Proof(True, f"btc_producer is connected to {url}. {seen.text}", told)
        return Proof(False, f"btc_producer is {facts.status}, connected to {url}. {seen.text}", told)

    def roll_back(self) -> Work | None:
        """The order of the settings, and a restart with it."""
        if self._replaced is not None:
            self.tools.temporary.put(self._replaced)
        elif self.tools.temporary.remove(AVOID) is None:
            return None
        facts = restart_producer(self.tools)
        return Work("The order of the endpoints is as it was, and btc_producer was restarted with it.", facts)

    def _of_feed(self, facts: ProducerFacts) -> Finding | None:
        """Why another endpoint is not even tried."""
        if (forbidden := self._looks.limit.known(facts)) is not None:
            return forbidden
        feed = self._looks.feed(facts)
        if (forbidden := limited_finding(self._looks.limit, feed.exchange)) is not None:
            return forbidden
        if not feed.silent and facts.stream_proven:
            return Finding(Need.NOT_NEEDED, "The present endpoint brings trades.", feed.in_facts())
        if feed.exchange.outcome is not Outcome.OK:
            text = f"The exchange does not answer by REST either ({feed.exchange.error}): it is not one endpoint."
            return Finding(Need.NOT_NEEDED, text, facts_of(feed.exchange))
        return None

    def _avoided(self, document: ProducerDocument) -> list[str]:
        """Endpoints to try last: those of before, REST ones that keep failing, and the stream's present one."""
        put = self.tools.temporary.get(AVOID)
        settings = self.tools.settings
        avoided = [url for url in (put.value.split(",") if put else settings.avoid_endpoints) if url]
        bad = [e.url for e in document.endpoints if e.kind != "stream" and e.breaker == BreakerState.OPEN]
        known = {url.rstrip("/"): url for url in settings.rest_endpoints + settings.stream_endpoints}
        if len(bad) < len(settings.rest_endpoints):
            avoided += [known[url] for url in bad if url in known]
        order = [url for url in settings.stream_endpoints if url not in avoided]
        present = document.stream.url or (order or list(settings.stream_endpoints))[0]
        return list(dict.fromkeys([*avoided, known.get(present.rstrip("/"), present)]))

    def _another(self, avoid: list[str]) -> Finding:
        """Does one of the other endpoints really bring trades? Each is tried once."""
        settings, tried = self.tools.settings, dict[str, str]()
        for url in settings.stream_endpoints:
            if url in avoid:
                continue
            problem = _first_trade(url, settings.symbols)
            if problem is None:
                text = f"{avoid[-1]} brings nothing, and {url} does: it would be preferred for a time."
                return Finding(Need.NEEDED, text, {"present": avoid[-1], "other": url, "tried": tried})
            tried[url] = problem
        text = "No other endpoint brings trades either; switching would not help."
        return Finding(Need.NOT_NEEDED, text, {"present": avoid[-1], "tried": tried})


def end_avoided_endpoints(tools: Tools, request: RunRequest) -> Work | None:
    """Put the order of the endpoints back, if this incident changed it; ``None`` if there is nothing to do.

    Raises :class:`RungError`.
    """
    put = tools.temporary.get(AVOID)
    if put is None or put.incident_id != request.incident_id:
        return None
    if (forbidden := ProducerLooks(tools, request).limit.known()) is not None:
        raise RungError(f"The endpoints cannot be put back now: {forbidden.text}")
    tools.temporary.remove(AVOID)
    facts = restart_producer(tools)
    return Work("The endpoints are tried in their usual order again; btc_producer was restarted.", facts)


def _first_trade(url: str, symbols: tuple[str, ...]) -> str | None:
    """Connect and wait for a frame; ``None`` if one came, else what happened."""
    from include.market.errors import MarketError
    from include.market.stream import StreamConnection

    async def receive() -> None:
        connection = await StreamConnection.open(url.rstrip("/"), symbols)
        try:
            await connection.receive()
        finally:
            await connection.close()

    try:
        asyncio.run(asyncio.wait_for(receive(), _TRY_SECONDS))
    except TimeoutError:
        return f"no trade within {_TRY_SECONDS:g} s"
    except MarketError as error:
        return str(error)
    return None
