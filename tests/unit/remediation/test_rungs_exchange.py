"""Asking every endpoint changes nothing and hammers nobody; another endpoint is preferred only if it brings trades."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from include.health.observations import Code, Probe
from include.health.probes import exchange_answers
from include.health.probes.exchange_answers import Answer
from include.playbook.names import Cause
from include.remediation import rungs_endpoint
from include.remediation.model import Need
from include.remediation.rungs_endpoint import SwitchEndpoint, end_avoided_endpoints
from include.remediation.rungs_exchange import ValidateExchange
from include.runtime.temporary_settings import TemporarySetting
from include.settings import Feed
from tests.support.producer_bench import SILENT, ProducerBench, document, producer_bench, refused, told, traded
from tests.support.remediating import Bench, observation

STREAMS, RESTS = ("ws://a", "ws://b", "ws://c"), ("http://a", "http://b", "http://c")


@pytest.fixture
def plant(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Iterator[ProducerBench]:
    live = {"feed": Feed.LIVE, "live_stream_endpoints": STREAMS, "live_rest_endpoints": RESTS, "symbols": ("BTCUSDT",)}
    with producer_bench(bench, monkeypatch) as made:
        made.configure(**live)
        yield made


GOOD, BANNED = Answer(Code.OK, trade_id=7, status=200), Answer(Code.BANNED, "HTTP 418", status=418, wait=120.0)
SLOW, BROKEN = Answer(Code.TIMEOUT, "connected, no answer in time"), Answer(Code.SERVER_ERROR, "HTTP 502", status=502)


class Line:
    """Answers by endpoint; ``asked``: those that were."""

    def __init__(self, answers: dict[str, Answer]) -> None:
        self.answers, self.asked = answers, list[str]()

    def newest_trade(self, url: str, symbol: str) -> Answer:
        self.asked.append(url)
        return self.answers[url]

    def close(self) -> None:
        pass


@pytest.mark.parametrize(
    ("answers", "need", "said"),  # said: how many were asked, and words
    [
        ((GOOD, GOOD, GOOD), Need.NOT_NEEDED, (3, "3 of 3 endpoints answer")),
        ((SLOW, GOOD, BROKEN), Need.NOT_NEEDED, (3, "http://a: connected, no answer in time; http://c: HTTP 502")),
        ((SLOW, BROKEN, BROKEN), Need.BY_PEOPLE, (3, "No endpoint of the exchange answers")),
        ((GOOD, BANNED, GOOD), Need.FORBIDDEN, (2, "waited out until")),  # nobody is asked after a refusal
        ((BANNED, GOOD, GOOD), Need.FORBIDDEN, (1, "120 s")),
    ],
)
def test_every_endpoint_is_asked_until_one_refuses(
    plant: ProducerBench,
    monkeypatch: pytest.MonkeyPatch,
    answers: tuple[Answer, ...],
    need: Need,
    said: tuple[int, str],
) -> None:
    asked, words = said
    line = Line(dict(zip(RESTS, answers, strict=True)))
    monkeypatch.setattr(exchange_answers, "ExchangeLine", lambda *_: line)
    plant.see(told(5))
    made = ValidateExchange(plant.tools, plant.request(cause=Cause.UNKNOWN))
    finding = made.need()
    assert (finding.need, line.asked) == (need, list(RESTS[:asked]))
    assert words in finding.text
    assert len(finding.facts["endpoints"]) == asked
    again = ValidateExchange(plant.tools, plant.request(cause=Cause.UNKNOWN)).need()
    assert again.need is need
    assert len(line.asked) == (asked if need is Need.FORBIDDEN else 2 * asked)


@pytest.mark.parametrize(
    ("seen", "cause", "need"),
    [
        (told(5, retry_after_seconds=9.0), Cause.UNKNOWN, Need.FORBIDDEN),
        (told(5), Cause.BANNED, Need.FORBIDDEN),
        (told(5, weight_used=4_795), Cause.UNKNOWN, Need.UNKNOWN),  # the producer needs what is left
    ],
)
def test_when_no_endpoint_is_asked(
    plant: ProducerBench, monkeypatch: pytest.MonkeyPatch, seen: Any, cause: Cause, need: Need
) -> None:
    monkeypatch.setattr(exchange_answers, "ExchangeLine", lambda *_: pytest.fail("asked"))
    plant.see(seen)
    assert ValidateExchange(plant.tools, plant.request(cause=cause)).need().need is need


# --- another endpoint -------------------------------------------------------------------------------------------------
FEED_SILENT = (told(100, silent_seconds=7.0), traded(140))
PROVEN_BY_REST = told(140, silent_seconds=7.0, status="polling", polling=True, stream_proven=False)


@pytest.mark.parametrize(
    ("looks", "bringing", "found"),
    [
        pytest.param(FEED_SILENT, {"ws://b", "ws://c"}, (Need.NEEDED, "ws://b"), id="the next one"),
        pytest.param(FEED_SILENT, {"ws://c"}, (Need.NEEDED, "ws://c"), id="the one after"),
        pytest.param(FEED_SILENT, {"ws://a"}, (Need.NOT_NEEDED, None), id="none of the others"),
        pytest.param((PROVEN_BY_REST, traded(140)), {"ws://b"}, (Need.NEEDED, "ws://b"), id="by REST only"),
        pytest.param((told(100), traded(100)), {"ws://b"}, (Need.NOT_NEEDED, None), id="well"),
        pytest.param((SILENT,), {"ws://b"}, (Need.NOT_NEEDED, None), id="no answer"),
        pytest.param((observation(Probe.PRODUCER, Code.OWN_FAULT),), {"ws://b"}, (Need.UNKNOWN, None), id="blind"),
        pytest.param(
            (told(1, silent_seconds=9, stream_proven=False), refused(Code.BANNED, 60)),
            {"ws://b"},
            (Need.FORBIDDEN, None),
            id="banned",
        ),
        pytest.param((told(1, retry_after_seconds=60),), {"ws://b"}, (Need.FORBIDDEN, None), id="told to wait"),
        pytest.param(
            (told(1, silent_seconds=9, stream_proven=False), observation(Probe.EXCHANGE, Code.REFUSED)),
            {"ws://b"},
            (Need.NOT_NEEDED, None),
            id="no exchange",
        ),
    ],
)
def test_when_another_endpoint_is_wanted(
    plant: ProducerBench,
    monkeypatch: pytest.MonkeyPatch,
    looks: tuple[Any, ...],
    bringing: set[str],
    found: tuple[Need, str | None],
) -> None:
    monkeypatch.setattr(rungs_endpoint, "_first_trade", lambda url, _: None if url in bringing else "no trade")
    plant.documents = [document("ws://a")]
    plant.see(*looks)
    finding = SwitchEndpoint(plant.tools, plant.request(cause=Cause.UNKNOWN)).need()
    assert (finding.need, finding.facts.get("other")) == found, finding.text


def test_with_one_endpoint_there_is_none_to_switch_to(plant: ProducerBench) -> None:
    plant.configure(live_stream_endpoints=("ws://a",))
    assert SwitchEndpoint(plant.tools, plant.request(cause=Cause.UNKNOWN)).need().need is Need.NOT_NEEDED


def _put(value: str, incident_id: str) -> TemporarySetting:
    return TemporarySetting("avoid_endpoints", value, "", incident_id, "health", "why", "2026-01-01T00:00:00+00:00")


@pytest.mark.parametrize(
    ("earlier", "url", "breakers", "avoided"),
    [
        (None, "ws://a", {}, "ws://a"),
        (None, None, {}, "ws://a"),  # not connected: the first one is at fault
        ("ws://a", "ws://b", {}, "ws://a,ws://b"),
        (None, "ws://a", {"http://a": "open"}, "http://a,ws://a"),
        (None, "ws://a", dict.fromkeys(RESTS, "open"), "ws://a"),  # all of them fail: no order is better
    ],
)
def test_the_setting_is_on_record_and_the_way_back_restores_it(
    plant: ProducerBench, earlier: str | None, url: str | None, breakers: dict[str, str], avoided: str
) -> None:
    plant.start()
    request = plant.request(cause=Cause.UNKNOWN)
    if earlier:
        plant.tools.temporary.put(_put(earlier, request.incident_id))
    endpoints = [{"url": u, "kind": "rest", "breaker": b} for u, b in breakers.items()]
    plant.documents = [document(url, endpoints=endpoints)]
    plant.see(told(9), traded(9))
    made = SwitchEndpoint(plant.tools, request)
    made.do()
    put = plant.tools.temporary.get("avoid_endpoints")
    assert put is not None
    assert (put.value, put.before, put.incident_id) == (avoided, earlier or "", request.incident_id)
    assert plant.controller.starts["btc_producer"] == 2
    made.roll_back()
    left = plant.tools.temporary.get("avoid_endpoints")
    assert (left.value if left else None) == earlier
    assert plant.controller.starts["btc_producer"] == 3


BY_A, BY_B, NOWHERE = document("ws://a", 9), document("ws://b", 9), document(None, 9)


@pytest.mark.parametrize(
    ("documents", "looks", "good"),
    [
        pytest.param((BY_B, document("ws://b", 10)), (told(100), told(101)), True, id="the other one brings trades"),
        pytest.param((BY_B, document("ws://b", 10)), (told(100),), False, id="they are not acknowledged"),
        pytest.param((BY_B,), (told(100), told(140)), False, id="by REST only"),
        pytest.param((BY_A, document("ws://a", 10)), (told(100), told(101)), False, id="the one to be avoided"),
        pytest.param((NOWHERE,), (told(100), told(101)), False, id="not connected"),
        pytest.param((BY_B, document("ws://c", 10)), (told(100), told(101)), False, id="what another one brought"),
    ],
)
def test_what_proves_another_endpoint(
    plant: ProducerBench, documents: tuple[dict[str, Any], ...], looks: tuple[Any, ...], good: bool
) -> None:
    plant.start()
    plant.documents = [document("ws://a")]
    plant.see(told(100), traded(100))
    made = SwitchEndpoint(plant.tools, plant.request(cause=Cause.UNKNOWN))
    made.do()
    plant.documents = [*documents]
    plant.see(*looks, traded(140))
    assert [made.proof().good for _ in range(3)] == [False, good, good]


@pytest.mark.parametrize(("newest", "good"), [(100, True), (140, False)])
def test_in_a_quiet_market_the_exchange_proves_another_endpoint(plant: ProducerBench, newest: int, good: bool) -> None:
    plant.start()
    plant.documents = [document("ws://a")]
    plant.see(told(100), traded(100))
    made = SwitchEndpoint(plant.tools, plant.request(cause=Cause.UNKNOWN))
    made.do()
    plant.documents = [BY_B]
    plant.see(told(140, silence_verdict="quiet"), traded(newest))
    assert not made.proof().good
    plant.bench.clock.advance(6)
    assert made.proof().good is good


def test_only_the_incident_that_changed_the_order_puts_it_back(plant: ProducerBench) -> None:
    plant.start()
    request = plant.request(cause=Cause.UNKNOWN)
    plant.tools.temporary.put(_put("ws://a", "INC-2000-0001"))
    assert end_avoided_endpoints(plant.tools, request) is None
    plant.tools.temporary.put(_put("ws://a", request.incident_id))
    assert end_avoided_endpoints(plant.tools, request) is not None
    assert plant.tools.temporary.all() == ()
    assert end_avoided_endpoints(plant.tools, request) is None
    assert plant.controller.starts["btc_producer"] == 2
