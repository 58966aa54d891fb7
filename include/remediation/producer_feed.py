"""Does btc_producer receive what is traded, and pass it on? Looks that its rungs have in common."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import msgspec

from include.health.observations import ExchangeFacts, Observation, Outcome, Probe, ProducerFacts
from include.health.probes.health_document import NoDocumentError, read_document
from include.producer.publisher import PublisherState
from include.producer.status import Status
from include.remediation.errors import RungError
from include.remediation.exchange_limit import ExchangeLimit, limited_finding
from include.remediation.model import Finding, Need, RunRequest
from include.remediation.rungs_common import blind_finding, facts_of, is_suspended
from include.remediation.tools import Tools
from include.remediation.waiting import until
from include.services.errors import ServicesError
from include.services.names import PRODUCER

_ON_THE_WAY_SECONDS = 1.0  # a trade that the exchange has just made is with us by then
_SILENT_SECONDS = 3.0  # a new connection that works brings a trade by then
_DOCUMENT_SECONDS = 0.9
_WITHOUT_STREAM = frozenset({Status.SILENT, Status.POLLING})
UNACKNOWLEDGED_SECONDS = 5.0  # Kafka usually acknowledges within milliseconds

WORDLESS = frozenset({Status.STARTING, Status.STOPPING})  # it says nothing of its feed yet, or any more

Ids = dict[str, int]


class _Request(msgspec.Struct):
    at: str
    answer: str


class _Stream(msgspec.Struct):
    url: str | None
    trust: str
    reconnects_on_request: int | None = None  # absent: a process that does not know the request, and would end of it
    last_request: _Request | None = None


class _Endpoint(msgspec.Struct):
    url: str
    kind: str
    breaker: str


class _Sampling(msgspec.Struct):
    one_in: int = 1


class _Symbol(msgspec.Struct):
    trades_received: int = 0


class ProducerDocument(msgspec.Struct):
    """As much of ``/health`` as rungs need beside :class:`ProducerFacts`."""

    pid: int
    status: str
    stream: _Stream
    endpoints: list[_Endpoint]
    sampling: _Sampling = msgspec.field(default_factory=_Sampling)
    symbols: dict[str, _Symbol] = {}
    started_at: str = ""

    @property
    def process(self) -> tuple[int, str]:
        """Another one for every process: in a container each has the same pid as the one before."""
        return self.pid, self.started_at

    @property
    def by_stream(self) -> dict[str, int]:
        """By symbol: trades that came by stream since this process began; those fetched by REST are not among them."""
        return {name: symbol.trades_received for name, symbol in self.symbols.items()}


@dataclass(frozen=True, slots=True)
class Feed:
    """``missing``: by symbol, the newest id at the exchange that was not received within a second; ``newest``: all the
    newest ids at the exchange. ``exchange`` is what it answered, ``facts`` the producer's newest word.
    """

    facts: ProducerFacts
    exchange: Observation
    newest: Ids
    missing: Ids

    @property
    def silent(self) -> bool:
        """Whether the exchange trades and the stream brings nothing (trades may still come by REST)."""
        return bool(self.missing) or self.facts.status in _WITHOUT_STREAM

    def in_words(self) -> str:
        """What stands still, with figures."""
        if not self.missing:
            return f"The stream has brought nothing for {self.facts.silent_seconds:.0f} s; trades come by REST."
        symbols = self.facts.symbols
        parts = [f"{s}: {symbols[s].received} of {newest}" for s, newest in sorted(self.missing.items())]
        return (
            f"The exchange trades, and nothing has come in for {self.facts.silent_seconds:.0f} s ({'; '.join(parts)})."
        )

    def in_facts(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "exchange": dict(self.newest),
            "received": {symbol: own.received for symbol, own in self.facts.symbols.items()},
            "silent_seconds": round(self.facts.silent_seconds, 1),
            "status": self.facts.status,
        }


class ProducerLooks:
    """Looks at btc_producer and, where its limits allow it, at the exchange."""

    def __init__(self, tools: Tools, request: RunRequest) -> None:
        self._tools = tools
        self.limit = ExchangeLimit(tools, request)

    def facts(self) -> ProducerFacts | None:
        """What the producer says of itself; ``None`` if it does not answer."""
        seen = self._tools.look(Probe.PRODUCER)
        return seen.facts if seen.outcome is Outcome.OK and isinstance(seen.facts, ProducerFacts) else None

    def feed(self, facts: ProducerFacts) -> Feed:
        """Ask the exchange for its newest ids, and wait up to a second for them to arrive; a new connection that has
        brought nothing gets three.
        """
        exchange = self.limit.ask()
        newest = {s: i for s, i in newest_ids(exchange).items() if s in facts.symbols}
        seen = [facts]

        def missing() -> Ids:
            seen[0] = self.facts() or seen[0]
            return {s: i for s, i in newest.items() if (seen[0].symbols[s].received or -1) < i}

        lacking: Ids = {}
        if newest:
            lacking = until(self._tools.clock, _ON_THE_WAY_SECONDS, missing, lambda found: not found)
        if not lacking and not _has_had_its_time(seen[0]):
            seen[0] = until(self._tools.clock, _SILENT_SECONDS, lambda: self.facts() or seen[0], _has_had_its_time)
        return Feed(seen[0], exchange, newest, lacking)

    def document(self) -> ProducerDocument | None:
        """``/health`` itself; ``None`` if there is no answer."""
        try:
            settings = self._tools.settings
            document = read_document(settings.producer_health_port, _DOCUMENT_SECONDS, settings.producer_host)
            return msgspec.convert(document, ProducerDocument)
        except (NoDocumentError, msgspec.ValidationError):
            return None


def _has_had_its_time(facts: ProducerFacts) -> bool:
    """Whether the present connection is known to bring trades, or is old enough to be judged."""
    return facts.status not in _WITHOUT_STREAM or facts.silent_seconds >= _SILENT_SECONDS


def judged(looks: ProducerLooks, feed: Feed) -> Finding:
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


def publishes(facts: ProducerFacts) -> bool:
    """Whether Kafka takes what the producer has."""
    quick = facts.oldest_unacknowledged_seconds <= UNACKNOWLEDGED_SECONDS
    return quick and facts.publisher_state == PublisherState.OPEN


def through(facts: ProducerFacts) -> Ids:
    """By symbol: up to here every trade is in the topic, or was left out on purpose."""
    ids = {s: own.acknowledged if facts.sampling == 1 else own.settled for s, own in facts.symbols.items()}
    return {symbol: trade_id for symbol, trade_id in ids.items() if trade_id is not None}


def passed(facts: ProducerFacts, goal: Ids) -> bool:
    """Whether every symbol of ``goal`` has got that far."""
    reached = through(facts)
    return all(reached.get(symbol, -1) >= trade_id for symbol, trade_id in goal.items())


def newest_ids(exchange: Observation) -> Ids:
    """By symbol, as far as the exchange answered."""
    facts = exchange.facts
    return dict(facts.newest) if exchange.outcome is Outcome.OK and isinstance(facts, ExchangeFacts) else {}


def in_words(ids: Ids) -> str:
    """Symbols with their ids."""
    return ", ".join(f"{symbol} {trade_id}" for symbol, trade_id in sorted(ids.items())) or "no trades"


def suspended(tools: Tools) -> bool:
    """Whether its process was stopped by a signal: no need to wait for an answer."""
    with suppress(ServicesError):
        return is_suspended(tools, tools.controller.status(PRODUCER))
    return False


def restart_producer(tools: Tools, stop_seconds: float = 5.0, start_seconds: float = 10.0) -> dict[str, Any]:
    """Stop it in order, start it; as facts. Raises :class:`RungError`."""
    try:
        stopped = tools.controller.stop(PRODUCER, stop_seconds)
        started = tools.controller.start(PRODUCER, start_seconds)
        pid = tools.controller.status(PRODUCER).pid
    except ServicesError as error:
        raise RungError(f"btc_producer could not be restarted: {error}") from error
    return {"stopped": stopped.value, "started": started.value, "pid": pid}
