"""PRODUCER: what btc_producer says about itself at ``/health``."""

from __future__ import annotations

from datetime import datetime

import msgspec

from include.health.observations import Code, Observation, Outcome, ProducerFacts, ProducerSymbolFacts
from include.health.observations import Probe as ProbeName
from include.health.probes.base import failed, one_line, seen_well
from include.health.probes.health_document import NoDocumentError, read_document
from include.market.breaker import BreakerState
from include.market.weight import RetryAfterGate
from include.runtime.clock import Clock, SystemClock
from include.settings import LOOPBACK

_SECONDS = 0.9
_SERVICE = "btc_producer"
_LIMITED_STATUS = 429


class _Symbol(msgspec.Struct):
    received: int | None
    acknowledged: int | None
    newest_event_time_ms: int | None
    state: str
    settled: int | None = None


class _Endpoint(msgspec.Struct):
    url: str
    breaker: str


class _Stream(msgspec.Struct):
    trust: str
    silent_seconds: float
    silence_verdict: str | None


class _Rest(msgspec.Struct):
    weight_used: int
    weight_limit: int
    retry_after_seconds: float
    times_limited: int
    polling: bool
    limit_status: int | None = None


class _Kafka(msgspec.Struct):
    state: str
    buffered: int
    oldest_unacknowledged_seconds: float


class _Invalid(msgspec.Struct):
    state: str
    total: int
    window_valid: int
    window_invalid: int


class _Sampling(msgspec.Struct):
    one_in: int = 1


class _Document(msgspec.Struct):
    """As much of the document (``include.producer.report``) as is used."""

    status: str
    pid: int
    started_at: str
    symbols: dict[str, _Symbol]
    endpoints: list[_Endpoint]
    stream: _Stream
    rest: _Rest
    kafka: _Kafka
    invalid: _Invalid
    last_error: str | None
    sampling: _Sampling = msgspec.field(default_factory=_Sampling)


class ProducerHealth:
    """Asks once a second. A thread of the producer answers, also while its event loop is stuck.

    The producer shares our address at the exchange: when it was told to wait, ``gate`` is closed for the oracle too.
    """

    name, every, deadline, overrun = ProbeName.PRODUCER, 1.0, 1.0, Outcome.FAILED

    def __init__(
        self, port: int, gate: RetryAfterGate | None = None, clock: Clock | None = None, host: str = LOOPBACK
    ) -> None:
        self._port, self._gate, self._clock, self._host = port, gate, clock or SystemClock(), host

    def look(self) -> Observation:
        """See :class:`include.health.probes.base.Probe`. A document of another form is the probe's own fault."""
        try:
            document = read_document(self._port, _SECONDS, self._host)
        except NoDocumentError as error:
            return failed(self.name, error.code, error)
        if document.get("service") != _SERVICE:
            return failed(self.name, Code.UNKNOWN, f"port {self._port} answers, but it is not {_SERVICE}")
        parsed = msgspec.convert(document, _Document)
        self._keep_away(parsed.rest)
        return seen_well(self.name, producer_facts(parsed, self._clock.time_ms()))

    def close(self) -> None:
        """Nothing is kept open."""

    def _keep_away(self, rest: _Rest) -> None:
        gate, wait = self._gate, rest.retry_after_seconds
        if gate is not None and wait > gate.seconds_left() + 1:  # a second: both may have been told at the same time
            gate.close(wait, rest.limit_status or _LIMITED_STATUS)


def producer_facts(document: _Document, now_ms: int) -> ProducerFacts:
    """The document as numbers, moments as ages."""
    stream, rest, kafka, invalid = document.stream, document.rest, document.kafka, document.invalid
    return ProducerFacts(
        status=document.status,
        pid=document.pid,
        age_seconds=_age(datetime.fromisoformat(document.started_at).timestamp() * 1000, now_ms),
        symbols={name: _symbol_facts(symbol, now_ms) for name, symbol in document.symbols.items()},
        silent_seconds=stream.silent_seconds,
        silence_verdict=stream.silence_verdict,
        stream_proven=stream.trust == "proven",
        polling=rest.polling,
        times_limited=rest.times_limited,
        retry_after_seconds=rest.retry_after_seconds,
        weight_used=rest.weight_used,
        weight_limit=rest.weight_limit,
        open_breakers=tuple(e.url for e in document.endpoints if e.breaker != BreakerState.CLOSED),
        buffered=kafka.buffered,
        oldest_unacknowledged_seconds=kafka.oldest_unacknowledged_seconds,
        publisher_state=kafka.state,
        invalid_state=invalid.state,
        invalid_total=invalid.total,
        window_valid=invalid.window_valid,
        window_invalid=invalid.window_invalid,
        last_error=None if document.last_error is None else one_line(document.last_error),
        sampling=document.sampling.one_in,
    )


def _symbol_facts(symbol: _Symbol, now_ms: int) -> ProducerSymbolFacts:
    moment = symbol.newest_event_time_ms
    return ProducerSymbolFacts(
        received=symbol.received,
        acknowledged=symbol.acknowledged,
        event_age_seconds=None if moment is None else _age(moment, now_ms),
        state=symbol.state,
        settled=symbol.settled,
    )


def _age(moment_ms: float, now_ms: int) -> float:
    return max(0.0, round((now_ms - moment_ms) / 1000, 3))
