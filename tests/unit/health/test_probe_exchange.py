"""The oracle: which endpoint is asked, what a failure is called, and when nothing is asked at all."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest
import requests
from urllib3.exceptions import MaxRetryError, NewConnectionError, ProtocolError

from include.health.observations import Code, ExchangeFacts, Observation, Outcome
from include.health.probes import exchange_answers
from include.health.probes.exchange import ExchangeOracle
from include.health.probes.exchange_answers import Answer, ExchangeLine
from include.market.weight import RetryAfterGate
from include.runtime.clock import ManualClock

API, GCP, DATA = "https://api.example", "https://api-gcp.example", "https://data-api.example"
URLS = (API, GCP, DATA)
SYMBOLS = ("BTCUSDT", "ETHUSDT")
FINE = Answer(Code.OK, trade_id=7, weight_used=12)
DOWN = Answer(Code.SERVER_ERROR, "HTTP 503", status=503)
HUNG = Answer(Code.TIMEOUT, "connected, no answer in time")
NOBODY = Answer(Code.UNREACHABLE, "no connection in time")
REFUSED = Answer(Code.REFUSED, "connection refused")
UNKNOWN_SYMBOL = Answer(Code.REFUSES, "HTTP 400", status=400)
NEVER_TRADED = Answer(Code.OK)


class FakeLine(ExchangeLine):
    """Answers by endpoint, or by endpoint and symbol."""

    def __init__(self, answers: dict[str, Answer]) -> None:
        super().__init__(URLS)
        self.answers, self.asked = answers, list[str]()

    def newest_trade(self, url: str, symbol: str) -> Answer:
        self.asked.append(f"{url} {symbol}")
        return self.answers.get(f"{url} {symbol}") or self.answers[url]


def oracle(answers: dict[str, Answer], clock: ManualClock | None = None) -> tuple[ExchangeOracle, FakeLine]:
    line = FakeLine(answers)
    return ExchangeOracle(URLS, SYMBOLS, clock=clock or ManualClock(), line=line), line


def facts(seen: Observation) -> ExchangeFacts:
    assert isinstance(seen.facts, ExchangeFacts)
    return seen.facts


def test_one_endpoint_is_enough() -> None:
    probe, line = oracle({API: FINE})
    seen = probe.look()
    assert (seen.outcome, seen.error) == (Outcome.OK, None)
    assert facts(seen) == ExchangeFacts(newest=dict.fromkeys(SYMBOLS, 7), answers={API: "ok"}, weight_used=12)
    assert line.asked == [f"{API} BTCUSDT", f"{API} ETHUSDT"]


@pytest.mark.parametrize(
    ("answers", "outcome", "code", "told"),
    [
        ({API: DOWN, DATA: FINE}, Outcome.OK, Code.OK, {API: "server_error", DATA: "ok"}),
        ({API: HUNG, DATA: NOBODY, GCP: FINE}, Outcome.OK, Code.OK, {API: "timeout", DATA: "unreachable", GCP: "ok"}),
        (
            {API: NOBODY, DATA: NOBODY, GCP: NOBODY},
            Outcome.FAILED,
            Code.UNREACHABLE,
            {API: "unreachable", DATA: "unreachable", GCP: "unreachable"},
        ),
        (
            {API: REFUSED, DATA: NOBODY, GCP: REFUSED},
            Outcome.FAILED,
            Code.REFUSED,
            {API: "refused", DATA: "unreachable", GCP: "refused"},
        ),
        (
            {API: NOBODY, DATA: HUNG, GCP: NOBODY},
            Outcome.FAILED,
            Code.TIMEOUT,
            {API: "unreachable", DATA: "timeout", GCP: "unreachable"},
        ),
        (
            {API: HUNG, DATA: DOWN, GCP: NOBODY},
            Outcome.FAILED,
            Code.SERVER_ERROR,
            {API: "timeout", DATA: "server_error", GCP: "unreachable"},
        ),
        ({API: UNKNOWN_SYMBOL}, Outcome.FAILED, Code.REFUSES, {API: "refuses"}),
    ],
)
def test_the_other_family_is_asked_and_the_failures_are_told_apart(
    answers: dict[str, Answer], outcome: Outcome, code: Code, told: dict[str, str]
) -> None:
    probe, _ = oracle(answers)
    seen = probe.look()
    assert (seen.outcome, seen.code, facts(seen).answers) == (outcome, code, told)
    assert list(facts(seen).answers) == list(told), "in this order"


@pytest.mark.parametrize(
    ("answer", "newest", "note"),
    [(UNKNOWN_SYMBOL, {"BTCUSDT": 7}, "refused for ETHUSDT"), (NEVER_TRADED, {"BTCUSDT": 7}, None)],
)
def test_a_symbol_without_an_id(answer: Answer, newest: dict[str, int], note: str | None) -> None:
    probe, line = oracle({API: FINE, f"{API} ETHUSDT": answer})
    seen = probe.look()
    assert (seen.outcome, facts(seen).newest, seen.error) == (Outcome.OK, newest, note)
    assert len(line.asked) == 2, "no other endpoint would know better"


def test_only_what_is_missing_is_asked_of_the_next_endpoint() -> None:
    probe, line = oracle({API: FINE, f"{API} ETHUSDT": DOWN, DATA: FINE})
    assert facts(probe.look()).newest == dict.fromkeys(SYMBOLS, 7)
    assert line.asked[2:] == [f"{DATA} ETHUSDT"]


@pytest.mark.parametrize(
    ("status", "code", "wait"),
    [(429, Code.RATE_LIMITED, 20.0), (418, Code.BANNED, 120.0), (403, Code.RATE_LIMITED, 30.0)],
)
def test_nothing_is_asked_while_the_exchange_wants_to_be_left_alone(status: int, code: Code, wait: float) -> None:
    clock = ManualClock()
    probe, line = oracle({API: Answer(code, f"HTTP {status}", status=status, wait=wait)}, clock)
    first = probe.look()
    assert (first.outcome, first.code, first.number) == (Outcome.FAILED, code, status)
    assert isinstance(first.facts, ExchangeFacts)
    assert first.facts.retry_after_seconds == wait
    assert len(line.asked) == 1, "neither another symbol nor another endpoint: the limit is the address's"
    line.answers = {API: FINE}
    clock.advance(wait - 0.1)
    meanwhile = probe.look()
    assert isinstance(meanwhile.facts, ExchangeFacts)
    assert 0 < meanwhile.facts.retry_after_seconds <= 0.1
    assert (meanwhile.outcome, meanwhile.code, meanwhile.number) == (Outcome.FAILED, code, status)
    assert len(line.asked) == 1
    clock.advance(0.2)
    assert probe.look().outcome is Outcome.OK


def test_a_refusal_that_somebody_else_got_counts() -> None:
    clock = ManualClock()
    gate = RetryAfterGate(clock)
    line = FakeLine({API: FINE})
    probe = ExchangeOracle(URLS, SYMBOLS, gate, clock, line)
    gate.close(30, 418)
    assert probe.look().code is Code.BANNED
    assert line.asked == []


def test_a_spent_weight_budget_is_our_own_restraint() -> None:
    clock = ManualClock(1_700_000_040_000)  # a minute's beginning
    probe, line = oracle({API: msgspec.structs.replace(FINE, weight_used=5_995)}, clock)
    probe.look()
    seen = probe.look()
    assert (seen.outcome, seen.code) == (Outcome.BLIND, Code.NOT_AVAILABLE)
    assert len(line.asked) == 2
    clock.advance(60)
    assert probe.look().outcome is Outcome.OK


def test_slow_endpoints_do_not_use_up_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0

    class SlowLine(FakeLine):
        def newest_trade(self, url: str, symbol: str) -> Answer:
            nonlocal now
            now += 2.5
            return super().newest_trade(url, symbol)

    monkeypatch.setattr("include.health.probes.exchange.time.monotonic", lambda: now)
    line = SlowLine({API: HUNG})
    assert ExchangeOracle(URLS, SYMBOLS, clock=ManualClock(), line=line).look().code is Code.TIMEOUT
    line = SlowLine({API: FINE})
    many = tuple(f"COIN{number}" for number in range(9))
    seen = ExchangeOracle(URLS, many, clock=ManualClock(), line=line).look()
    assert (seen.outcome, len(facts(seen).newest)) == (Outcome.OK, 2)
    assert seen.error is not None
    assert seen.error.startswith("no time to ask for COIN2")


def _raise(error: requests.RequestException) -> Callable[..., requests.Response]:
    def get(*arguments: object, **options: object) -> requests.Response:
        raise error

    return get


def _wrapped(inner: Exception) -> MaxRetryError:
    return MaxRetryError(None, "/", inner)  # type: ignore[arg-type]


def _not_connected(cause: Exception) -> NewConnectionError:
    error = NewConnectionError(None, f"Failed to establish a new connection: {cause}")  # type: ignore[arg-type]
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (requests.ConnectTimeout(), Code.UNREACHABLE),
        (requests.ReadTimeout(), Code.TIMEOUT),
        (requests.ConnectionError(_wrapped(_not_connected(ConnectionRefusedError(111, "refused")))), Code.REFUSED),
        (requests.ConnectionError(_wrapped(_not_connected(OSError(113, "no route")))), Code.UNREACHABLE),
        (requests.ConnectionError(ProtocolError("aborted", ConnectionResetError(104, "reset"))), Code.CONNECTIVITY),
        (requests.exceptions.SSLError(), Code.CONNECTIVITY),
        (requests.exceptions.ChunkedEncodingError(), Code.CONNECTIVITY),
    ],
)
def test_whether_anybody_could_be_connected(error: requests.RequestException, code: Code) -> None:
    line = ExchangeLine(URLS)
    line._session.get = _raise(error)  # type: ignore[method-assign]
    assert line.newest_trade(API, "BTCUSDT").code is code
    line.close()


def _response(status: int, body: bytes = b"", **headers: str) -> requests.Response:
    response = requests.Response()
    response.status_code, response._content = status, body
    response.headers.update({name.replace("_", "-"): value for name, value in headers.items()})
    return response


_ROW = b'[{"a":1,"p":"1.0","q":"1.0","f":5,"l":9,"T":1,"m":true,"M":true}]'


@pytest.mark.parametrize(
    ("response", "answer"),
    [
        (_response(200, _ROW), Answer(Code.OK, trade_id=9, status=200)),
        (_response(200, b"[]"), Answer(Code.OK, status=200)),
        (_response(200, b"<html>"), Answer(Code.UNKNOWN, "not the agreed JSON", status=200)),
        (_response(200, b"\xff"), Answer(Code.UNKNOWN, "not the agreed JSON", status=200)),
        (_response(503), Answer(Code.SERVER_ERROR, "HTTP 503", status=503)),
        (_response(451), Answer(Code.NOT_AVAILABLE, "HTTP 451", status=451)),
        (_response(400), Answer(Code.REFUSES, "HTTP 400", status=400)),
        (_response(429, Retry_After="17"), Answer(Code.RATE_LIMITED, "HTTP 429", status=429, wait=17.0)),
        (_response(418), Answer(Code.BANNED, "HTTP 418", status=418, wait=120.0)),
        (_response(403), Answer(Code.RATE_LIMITED, "HTTP 403", status=403, wait=30.0)),
    ],
)
def test_what_an_answer_means(response: requests.Response, answer: Answer) -> None:
    assert exchange_answers._answer(response) == answer
