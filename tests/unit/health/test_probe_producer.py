"""What btc_producer says of itself, as facts."""

from __future__ import annotations

import copy
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec
import pytest

from include.health.observations import Code, Outcome, ProducerFacts, ProducerSymbolFacts
from include.health.probes.producer import ProducerHealth
from include.market.weight import RetryAfterGate
from include.runtime.clock import ManualClock

NOW_MS = 1_700_000_100_000
DOCUMENT: dict[str, Any] = {
    "service": "btc_producer",
    "status": "live",
    "pid": 4711,
    "started_at": "2023-11-14T22:13:20.000+00:00",  # 100 s before NOW_MS
    "symbols": {
        "BTCUSDT": {
            "received": 9,
            "acknowledged": 8,
            "next": 10,
            "newest_event_time_ms": NOW_MS - 2_500,
            "state": "live",
            "trades_received": 9,
        },
        "ETHUSDT": {"received": None, "acknowledged": None, "newest_event_time_ms": None, "state": "starting"},
    },
    "endpoints": [
        {"url": "ws://a", "kind": "stream", "breaker": "closed", "seconds_to_probe": 0.0},
        {"url": "http://b", "kind": "rest", "breaker": "open", "seconds_to_probe": 9.0},
    ],
    "stream": {"url": "ws://a", "trust": "proven", "silent_seconds": 0.3, "silence_verdict": "quiet"},
    "rest": {
        "weight_used": 12,
        "weight_limit": 6000,
        "retry_after_seconds": 0.0,
        "times_limited": 1,
        "limit_status": 429,
        "polling": False,
    },
    "kafka": {"state": "open", "buffered": 3, "buffer_limit": 9, "oldest_unacknowledged_seconds": 0.02},
    "invalid": {"state": "calm", "total": 5, "window_valid": 100, "window_invalid": 2, "reasons": {}},
    "last_error": "2023-11-14T22:13:20+00:00 kafka: broker\nlost",
}


class FakeProducer:
    """Serves any answer at ``/health``."""

    def __init__(self) -> None:
        self.status, self.body, self.hold = 200, json(), threading.Event()
        self.hold.set()
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                owner.hold.wait(5)
                self.send_response(owner.status)
                self.send_header("Content-Length", str(len(owner.body)))
                self.end_headers()
                self.wfile.write(owner.body)

            def log_message(self, format: str, *arguments: object) -> None:
                """Quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        self.port = int(self.server.server_address[1])


def json(**changes: Any) -> bytes:
    document = copy.deepcopy(DOCUMENT)
    for name, value in changes.items():
        document[name] = {**document.get(name, {}), **value} if isinstance(value, dict) else value
    return msgspec.json.encode(document)


@pytest.fixture
def producer() -> Iterator[FakeProducer]:
    found = FakeProducer()
    yield found
    found.hold.set()
    found.server.shutdown()
    found.server.server_close()


def test_a_producer_that_leaves_out_trades(producer: FakeProducer) -> None:
    symbols = {"BTCUSDT": {**DOCUMENT["symbols"]["BTCUSDT"], "settled": 9}}
    producer.body = json(sampling={"one_in": 4, "block": 200, "left_out": {}}, symbols=symbols)
    facts = ProducerHealth(producer.port).look().facts
    assert isinstance(facts, ProducerFacts)
    assert facts.sampling == 4
    assert facts.symbols["BTCUSDT"].settled == 9


def test_the_document_as_facts(producer: FakeProducer) -> None:
    seen = ProducerHealth(producer.port, clock=ManualClock(NOW_MS)).look()
    assert seen.outcome is Outcome.OK
    assert seen.facts == ProducerFacts(
        status="live",
        pid=4711,
        age_seconds=100.0,
        symbols={
            "BTCUSDT": ProducerSymbolFacts(received=9, acknowledged=8, event_age_seconds=2.5, state="live"),
            "ETHUSDT": ProducerSymbolFacts(received=None, acknowledged=None, event_age_seconds=None, state="starting"),
        },
        silent_seconds=0.3,
        silence_verdict="quiet",
        stream_proven=True,
        polling=False,
        times_limited=1,
        retry_after_seconds=0.0,
        weight_used=12,
        weight_limit=6000,
        open_breakers=("http://b",),
        buffered=3,
        oldest_unacknowledged_seconds=0.02,
        publisher_state="open",
        invalid_state="calm",
        invalid_total=5,
        window_valid=100,
        window_invalid=2,
        last_error="2023-11-14T22:13:20+00:00 kafka: broker lost",
    )


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (500, b"", Code.SERVER_ERROR),
        (200, b"<html>", Code.UNKNOWN),
        (200, b"[]", Code.UNKNOWN),
        (404, b"{}", Code.UNKNOWN),
        (200, json(service="another"), Code.UNKNOWN),
    ],
)
def test_nonsense(producer: FakeProducer, status: int, body: bytes, code: Code) -> None:
    producer.status, producer.body = status, body
    seen = ProducerHealth(producer.port).look()
    assert (seen.outcome, seen.code) == (Outcome.FAILED, code)


def test_a_document_that_we_do_not_understand_is_our_own_fault(producer: FakeProducer) -> None:
    producer.body = json(rest={"weight_used": "many"})
    with pytest.raises(msgspec.ValidationError):
        ProducerHealth(producer.port).look()


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    seen = ProducerHealth(port).look()
    assert (seen.outcome, seen.code) == (Outcome.FAILED, Code.REFUSED)


def test_no_answer_in_time(producer: FakeProducer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("include.health.probes.producer._SECONDS", 0.1)
    producer.hold.clear()
    seen = ProducerHealth(producer.port).look()
    assert (seen.outcome, seen.code) == (Outcome.FAILED, Code.TIMEOUT)


@pytest.mark.parametrize("status", [429, 418])
def test_what_the_exchange_told_the_producer_holds_for_the_oracle(producer: FakeProducer, status: int) -> None:
    clock = ManualClock(NOW_MS)
    gate = RetryAfterGate(clock)
    probe = ProducerHealth(producer.port, gate, clock)
    probe.look()
    assert gate.seconds_left() == 0
    producer.body = json(rest={"retry_after_seconds": 12.5, "limit_status": status})
    probe.look()
    assert (gate.seconds_left(), gate.last_status) == (12.5, status)


def test_the_oracles_own_longer_ban_is_not_overwritten(producer: FakeProducer) -> None:
    clock = ManualClock(NOW_MS)
    gate = RetryAfterGate(clock)
    gate.close(12.0, 418)
    producer.body = json(rest={"retry_after_seconds": 12.5})
    ProducerHealth(producer.port, gate, clock).look()
    assert gate.last_status == 418
