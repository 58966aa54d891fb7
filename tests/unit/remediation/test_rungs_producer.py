"""When btc_producer is asked to reconnect, when it is restarted, and when it is better left alone."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from include.health.observations import Code, Observation, Probe
from include.playbook.ladder import RungId
from include.playbook.names import Cause
from include.remediation.errors import RungError
from include.remediation.exchange_limit import ExchangeLimit
from include.remediation.model import Finding, Need
from include.remediation.producer_feed import suspended
from include.remediation.registry import RUNGS
from include.remediation.rungs_producer import PRODUCER_RUNGS, RestartProducer
from include.remediation.rungs_reconnect import ReconnectFeed
from include.services.controller import ServiceOutcome
from include.services.names import PRODUCER
from tests.support.producer_bench import SILENT, ProducerBench, document, producer_bench, refused, told, traded
from tests.support.remediating import Bench, observation
from tests.support.waiting import wait_for


@pytest.fixture
def plant(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Iterator[ProducerBench]:
    with producer_bench(bench, monkeypatch) as made:
        yield made


WELL = (told(100), traded(100))
FEED_SILENT = (told(100, silent_seconds=7.0), traded(140))
BY_REST = (told(140, silent_seconds=7.0, status="polling", polling=True), traded(140))
NEW_CONNECTION = told(140, silent_seconds=0.4, status="polling", polling=True)
KAFKA_OUT = observation(Probe.KAFKA_CANARY, Code.TIMEOUT)
KAFKA_WELL = observation(Probe.KAFKA_CANARY)
STUCK = {"oldest_unacknowledged_seconds": 9.0, "buffered": 90, "status": "buffering_kafka_away"}
BLIND = observation(Probe.PRODUCER, Code.OWN_FAULT)
NO_EXCHANGE = observation(Probe.EXCHANGE, Code.UNREACHABLE)
BANNED = refused(Code.BANNED, 118.0)

Looks = tuple[Observation, ...]


@pytest.mark.parametrize(
    ("looks", "reconnect", "restart"),
    [
        pytest.param(WELL, Need.NOT_NEEDED, Need.NOT_NEEDED, id="well"),
        pytest.param((told(100), told(140), traded(140)), Need.NOT_NEEDED, Need.NOT_NEEDED, id="on its way"),
        pytest.param((told(100, silent_seconds=60.0), traded(100)), Need.NOT_NEEDED, Need.NOT_NEEDED, id="quiet"),
        pytest.param(FEED_SILENT, Need.NEEDED, Need.NEEDED, id="feed silent"),
        pytest.param(BY_REST, Need.NEEDED, Need.NEEDED, id="by REST only"),
        pytest.param((NEW_CONNECTION, traded(140)), Need.NEEDED, Need.NEEDED, id="by REST only, newly connected"),
        pytest.param(
            (NEW_CONNECTION, NEW_CONNECTION, told(141), traded(140)), *[Need.NOT_NEEDED] * 2, id="just connected"
        ),
        pytest.param((SILENT, traded(9)), Need.NOT_NEEDED, Need.NEEDED, id="hung"),
        pytest.param((SILENT, NO_EXCHANGE), Need.NOT_NEEDED, Need.NEEDED, id="hung, and no exchange"),
        pytest.param((SILENT, BANNED), Need.NOT_NEEDED, Need.FORBIDDEN, id="hung, and banned"),
        pytest.param((told(100, silent_seconds=9.0), NO_EXCHANGE), Need.NOT_NEEDED, Need.NOT_NEEDED, id="no exchange"),
        pytest.param((told(1, retry_after_seconds=30.0),), Need.FORBIDDEN, Need.FORBIDDEN, id="producer was told"),
        pytest.param((told(100, silent_seconds=9.0), BANNED), Need.FORBIDDEN, Need.FORBIDDEN, id="we are told"),
        pytest.param((told(100, **STUCK), KAFKA_OUT, traded(1)), Need.NOT_NEEDED, Need.FORBIDDEN, id="Kafka is out"),
        pytest.param((told(100, **STUCK), KAFKA_WELL, traded(1)), Need.NOT_NEEDED, Need.NEEDED, id="stuck"),
        pytest.param((told(100, **STUCK), told(100), *WELL[1:]), Need.NOT_NEEDED, Need.NOT_NEEDED, id="heals itself"),
        pytest.param((told(None, status="starting"), KAFKA_OUT), Need.NOT_NEEDED, Need.FORBIDDEN, id="waits for Kafka"),
        pytest.param((BLIND,), Need.UNKNOWN, Need.UNKNOWN, id="nobody can see"),
    ],
)
def test_what_is_needed_of_a_process_that_lives(
    plant: ProducerBench, looks: Looks, reconnect: Need, restart: Need
) -> None:
    plant.start()
    plant.bench.clock.advance(60)  # it is not starting any more
    request = plant.request(cause=Cause.UNKNOWN)
    for make, need in ((ReconnectFeed, reconnect), (RestartProducer, restart)):
        plant.see(*looks)
        finding = make(plant.tools, request).need()
        assert (finding.need, bool(finding.text)) == (need, True), finding.text


def test_the_exchange_is_asked_once_by_all_tasks_of_a_ban(plant: ProducerBench) -> None:
    """Whoever is refused leaves a note; when the time is over, one may ask again."""
    plant.see(told(100, silent_seconds=9.0), BANNED)
    plant.start()
    request = plant.request(cause=Cause.UNKNOWN)
    until = plant.tools.now() + timedelta(seconds=118)
    for make in PRODUCER_RUNGS.values():
        finding = make(plant.tools, request).need()
        assert finding.need in (Need.FORBIDDEN, Need.NOT_NEEDED), finding.text
    assert plant.asked == 1
    assert f"{until:%H:%M}" in ReconnectFeed(plant.tools, request).need().text
    plant.bench.clock.advance(120)
    plant.see(*WELL)
    assert ReconnectFeed(plant.tools, request).need().need is Need.NOT_NEEDED
    assert plant.asked == 2


@pytest.mark.parametrize("cause", [Cause.BANNED, Cause.RATE_LIMITED])
def test_a_diagnosed_limit_is_believed_without_asking(plant: ProducerBench, cause: Cause) -> None:
    plant.see(*FEED_SILENT)
    plant.start()
    request = plant.request(cause=cause)
    for make in (ReconnectFeed, RestartProducer):
        assert make(plant.tools, request).need().need is Need.FORBIDDEN
    assert plant.asked == 0


@pytest.mark.parametrize(("cause", "forbidden"), [(Cause.UNKNOWN, False), (Cause.BANNED, True)])
def test_a_rehearsal_while_nothing_is_open_goes_by_the_cause_it_was_given(
    plant: ProducerBench, cause: Cause, forbidden: bool
) -> None:
    request = replace(plant.request(cause=cause), incident_id="")
    assert (ExchangeLimit(plant.tools, request).known() is not None) is forbidden


@pytest.mark.parametrize("note", ["", "not json", "[]", '{"until": 7}', '{"until": "2001-01-01T00:00:00+00:00"}'])
def test_a_note_that_means_nothing_forbids_nothing(plant: ProducerBench, note: str) -> None:
    (plant.tools.settings.run_dir / "exchange_limit.json").write_text(note)
    assert ExchangeLimit(plant.tools, plant.request(cause=Cause.UNKNOWN)).known() is None


def test_a_process_that_is_gone_is_restarted_unless_something_stands_in_the_way(
    plant: ProducerBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = plant.request(cause=Cause.PROCESS_GONE)
    os.kill(plant.start(), signal.SIGKILL)
    wait_for(lambda: plant.controller.status(PRODUCER).pid is None, 2)
    plant.see(SILENT, traded(5))
    made = RestartProducer(plant.tools, request)
    finding = made.need()
    assert finding.need is Need.NEEDED
    assert "signal 9" in finding.text
    assert ReconnectFeed(plant.tools, request).need().need is Need.NOT_NEEDED
    conflict = Finding(Need.BY_PEOPLE, "Somebody has the port.")
    monkeypatch.setattr("include.remediation.rungs_producer.port_conflict", lambda *_: conflict)
    assert RestartProducer(plant.tools, request).need() is conflict
    monkeypatch.setattr("include.remediation.rungs_producer.port_conflict", lambda *_: None)
    full = Finding(Need.BY_PEOPLE, "The disk is full.")
    monkeypatch.setattr("include.remediation.rungs_producer.full_disk", lambda *_: full)
    assert RestartProducer(plant.tools, request).need() is full


def test_a_process_that_was_stopped_on_purpose_stays_stopped(plant: ProducerBench) -> None:
    plant.start()
    plant.controller.stop(PRODUCER, 1)
    plant.see(SILENT, traded(5))
    finding = RestartProducer(plant.tools, plant.request(cause=Cause.UNKNOWN)).need()
    assert finding.need is Need.NOT_NEEDED
    assert "on request" in finding.text


def test_a_suspended_process_is_killed_and_started_without_waiting(plant: ProducerBench) -> None:
    pid = plant.start()
    os.kill(pid, signal.SIGSTOP)
    wait_for(lambda: suspended(plant.tools), 2)
    plant.see(traded(5))  # nobody waits for an answer of the producer
    made = RestartProducer(plant.tools, plant.request(cause=Cause.UNKNOWN))
    assert made.need().need is Need.NEEDED
    work = made.do()
    assert work.facts["stopped"] == ServiceOutcome.KILLED.value
    assert work.facts["pid"] not in (None, pid)


@pytest.mark.parametrize(
    ("looks", "by_stream", "good"),
    [
        pytest.param((SILENT,), 9, False, id="no answer"),
        pytest.param((told(None, status="starting"),), 9, False, id="starting"),
        pytest.param((told(100, status="catching_up"),), 9, False, id="stands where the topic stood"),
        pytest.param((told(100), told(101)), 9, True, id="goes on"),
        pytest.param((told(100), told(140, status="polling")), 0, False, id="goes on by REST, with a silent stream"),
        pytest.param(
            (told(120, 100, settled=100, sampling=4), told(120, 100, settled=101, sampling=4)), 9, True, id="part"
        ),
    ],
)
def test_what_proves_a_restart(plant: ProducerBench, looks: Looks, by_stream: int, good: bool) -> None:
    plant.see(*looks, traded(500))
    plant.documents = [document(pid=7, by_stream=by_stream)]
    made = RestartProducer(plant.tools, plant.request(cause=Cause.UNKNOWN))
    made.do()
    assert any(made.proof().good for _ in range(3)) is good


@pytest.mark.parametrize(
    ("exchange", "good"),
    [
        pytest.param((traded(100),), True, id="nothing is traded"),
        pytest.param((traded(100), traded(140)), False, id="it has traded on"),
        pytest.param((NO_EXCHANGE, traded(140)), False, id="it did not tell what it had before"),
    ],
)
def test_in_a_quiet_market_the_exchange_proves_a_restart(plant: ProducerBench, exchange: Looks, good: bool) -> None:
    """What is fetched by REST keeps level with the exchange, whether the stream is silent or the market quiet."""
    plant.see(told(100), *exchange)
    plant.documents = [document(pid=7)]
    made = RestartProducer(plant.tools, plant.request(cause=Cause.UNKNOWN))
    made.do()
    plant.see(told(140))
    assert not made.proof().good
    plant.bench.clock.advance(6)
    proof = made.proof()
    assert proof.good is good
    assert ("Nothing is traded" in proof.text) is good, proof.text


# --- reconnecting -----------------------------------------------------------------------------------------------------
@pytest.fixture
def signals(monkeypatch: pytest.MonkeyPatch) -> list[signal.Signals]:
    sent: list[signal.Signals] = []
    monkeypatch.setattr(signal, "pidfd_send_signal", lambda _, number: sent.append(number))
    return sent


def _answered(pid: int, answer: str | None, **stream: Any) -> dict[str, Any]:
    found = document(pid=pid)
    found["stream"] |= {"last_request": None if answer is None else {"at": "now", "answer": answer}, **stream}
    return found


def test_the_request_is_a_signal_and_its_answer_is_awaited(plant: ProducerBench, signals: list[signal.Signals]) -> None:
    pid = plant.start()
    plant.documents = [_answered(pid, None), _answered(pid, None), _answered(pid, "replacing")]
    plant.see(*FEED_SILENT)
    made = ReconnectFeed(plant.tools, plant.request(cause=Cause.UNKNOWN))
    work = made.do()
    assert signals == [signal.SIGHUP]
    assert work.facts["answer"] == "replacing"
    plant.see(told(140, silent_seconds=0.0), told(139, silent_seconds=0.0), told(140, silent_seconds=0.0))
    plant.documents = [document(pid=pid), *[document(pid=pid, by_stream=1)] * 2]
    proofs = [made.proof() for _ in range(3)]
    assert [proof.good for proof in proofs] == [False, False, True], proofs  # all by REST; not all; all


@pytest.mark.parametrize(
    ("documents", "words"),
    [
        (lambda pid: [], "does not answer"),
        (lambda pid: [_answered(pid, None, reconnects_on_request=None)], "would end of it"),
        (lambda pid: [_answered(1, None)], "process host"),
        (lambda pid: [_answered(pid, None), _answered(pid, "refused_must_wait")], "refused"),
        (lambda pid: [_answered(pid, None)], "did not heed"),
    ],
)
def test_when_the_request_is_in_vain(
    plant: ProducerBench,
    signals: list[signal.Signals],
    monkeypatch: pytest.MonkeyPatch,
    documents: Callable[[int], list[dict[str, Any]]],
    words: str,
) -> None:
    monkeypatch.setattr("include.remediation.rungs_reconnect._ANSWER_SECONDS", 0.0)
    plant.documents = documents(plant.start())
    plant.see(*FEED_SILENT)
    with pytest.raises(RungError, match=words):
        ReconnectFeed(plant.tools, plant.request(cause=Cause.UNKNOWN)).do()


@pytest.mark.parametrize(("newest", "good"), [(140, True), (150, False)])
def test_in_a_quiet_market_the_exchange_proves_a_connection(
    plant: ProducerBench, signals: list[signal.Signals], newest: int, good: bool
) -> None:
    pid = plant.start()
    plant.documents = [_answered(pid, None), _answered(pid, "replacing")]
    plant.see(told(140, silent_seconds=30.0), traded(140))
    made = ReconnectFeed(plant.tools, plant.request(cause=Cause.UNKNOWN))
    made.do()
    plant.see(told(newest, silent_seconds=0.0), traded(newest))  # REST brings all that there is
    assert not made.proof().good
    plant.bench.clock.advance(6)
    proof = made.proof()
    assert ("Nothing is traded" in proof.text, proof.good) == (good, good), proof.text


def test_every_rung_of_the_producer_is_registered() -> None:
    mine = {RungId.RECONNECT_FEED, RungId.RESTART_PRODUCER, RungId.SWITCH_ENDPOINT}
    assert set(PRODUCER_RUNGS) == mine | {RungId.VALIDATE_EXCHANGE, RungId.REDUCE_FREQUENCY}
    assert RUNGS.keys() >= PRODUCER_RUNGS.keys()
