"""A producer and an exchange that say what they are told to, for the rungs of btc_producer."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, cast

import pytest

from include.health.observations import (
    Code,
    ExchangeFacts,
    Observation,
    Outcome,
    Probe,
    ProducerSymbolFacts,
)
from include.playbook.names import Cause, Component, ScenarioId, Severity
from include.remediation import producer_feed
from include.remediation.model import RunRequest
from include.remediation.tools import Tools
from include.services.controller import ServiceController
from include.services.fake import FakeServiceController
from include.services.names import PRODUCER
from tests.support.observing import ok, producer
from tests.support.remediating import Bench, observation

SYMBOL = "BTCUSDT"


def told(
    received: int | None,
    acknowledged: int | None = None,
    *,
    settled: int | None = None,
    state: str = "live",
    **more: Any,
) -> Any:
    """``PRODUCER``: ids of one symbol, and other facts."""
    own = ProducerSymbolFacts(
        received=received,
        acknowledged=received if acknowledged is None else acknowledged,
        event_age_seconds=0.1,
        state=state,
        settled=settled,
    )
    return producer(symbols={SYMBOL: own}, **more)


def traded(newest: int) -> Observation:
    """``EXCHANGE``: its newest id."""
    return ok(Probe.EXCHANGE, ExchangeFacts(newest={SYMBOL: newest}))


def refused(code: Code, seconds: float) -> Observation:
    """``EXCHANGE``: it wants to be left alone."""
    facts = ExchangeFacts(newest={}, retry_after_seconds=seconds)
    return Observation(probe=Probe.EXCHANGE, outcome=Outcome.FAILED, code=code, error="HTTP", facts=facts)


SILENT = observation(Probe.PRODUCER, Code.TIMEOUT)


def document(url: str | None = "ws://a", by_stream: int = 0, **more: Any) -> dict[str, Any]:
    """``/health`` as far as rungs read it. ``by_stream``: trades of the one symbol that came so."""
    stream = {"url": url, "trust": "proven", "reconnects_on_request": 0, "last_request": None}
    symbols = {SYMBOL: {"trades_received": by_stream}}
    return {"pid": 1, "status": "live", "stream": stream, "endpoints": [], "symbols": symbols, **more}


class ProducerBench:
    """``process``: whether btc_producer has one (it sleeps). ``documents``: answers of ``/health``, the last for good.
    ``asked``: how often the exchange was.
    """

    def __init__(self, bench: Bench, controller: FakeServiceController) -> None:
        self.bench, self.controller = bench, controller
        self.documents: list[dict[str, Any]] = []
        self.asked = 0
        self.tools: Tools = replace(bench.tools, controller=cast(ServiceController, controller), look=self._look)

    def configure(self, **changes: Any) -> None:
        """Other settings."""
        self.tools = replace(self.tools, settings=self.tools.settings.model_copy(update=changes))

    def request(
        self, scenario: ScenarioId = ScenarioId.PRODUCER_SILENT, cause: Cause = Cause.FEED_SILENT
    ) -> RunRequest:
        incident = self.bench.incident(
            scenario=scenario, target=Component.PRODUCER, cause=cause, severity=Severity.SEV_2, summary="It is silent."
        )
        return self.bench.request(incident)

    def start(self) -> int:
        self.controller.start(PRODUCER, 1)
        self.bench.clock.advance(time.time() - self.bench.clock.time_ms() / 1000)  # the process host's time
        pid = self.controller.status(PRODUCER).pid
        assert pid is not None
        return pid

    def see(self, *observations: Observation) -> None:
        """Looks of one probe each, the last one for good."""
        for each in observations:
            self.bench.seen.pop(each.probe, None)
        for each in observations:
            self.bench.seen[each.probe] = [*self.bench.seen.get(each.probe, []), each]  # type: ignore[misc]

    def _look(self, probe: Probe) -> Observation:
        self.asked += probe is Probe.EXCHANGE
        return self.bench.tools.look(probe)

    def _read(self, port: int, seconds: float, host: str) -> dict[str, Any]:
        if not self.documents:
            raise producer_feed.NoDocumentError(Code.REFUSED, "nobody listens")
        return self.documents.pop(0) if len(self.documents) > 1 else self.documents[0]


@contextmanager
def producer_bench(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Iterator[ProducerBench]:
    """Ended with its process."""
    controller = FakeServiceController({PRODUCER: ["sleep", "600"]}, bench.tools.settings.log_dir, 0.02)
    made = ProducerBench(bench, controller)
    monkeypatch.setattr(producer_feed, "read_document", made._read)
    yield made
    controller.close()
