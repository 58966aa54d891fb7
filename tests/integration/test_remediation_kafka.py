"""The rungs of Kafka against a real broker under the real process host, through the one way that every rung takes."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from confluent_kafka import Producer

from include.broker.topics import TRADES, ensure_topics, expected_topics, topic_problems
from include.playbook.ladder import RungId
from include.playbook.names import Cause, Component, ScenarioId, Severity
from include.remediation.model import Approval, Need, RungOutcome
from include.services.names import KAFKA
from include.settings import Settings
from include.stack.kafka import broker_data
from tests.support.remediation_host import Case, Hosted
from tests.support.servers import fetch_artifacts
from tests.support.waiting import wait_for

pytestmark = pytest.mark.integration
RESTART, ASIDE, TOPICS = RungId.RESTART_KAFKA, RungId.MOVE_KAFKA_LOG_ASIDE, RungId.VALIDATE_TOPICS


@pytest.fixture(scope="module")
def hosted() -> Iterator[Hosted]:
    with Hosted.running() as host:
        fetch_artifacts(host.settings, "kafka")
        host.controller.start(KAFKA, 20)
        wait_for(lambda: ensure_topics(host.settings.bootstrap_servers, expected_topics(host.settings), 2), 90)
        yield host


@pytest.fixture
def case(hosted: Hosted, tmp_path: Path) -> Iterator[Case]:
    with hosted.case(tmp_path, ScenarioId.KAFKA_DOWN, Component.KAFKA, Cause.PROCESS_GONE, Severity.SEV_1) as case:
        yield case


def test_a_broker_that_answers_is_left_alone(case: Case) -> None:
    pid = case.pid(KAFKA)
    reports = [case.run(RESTART), case.run(ASIDE), case.run(TOPICS)]
    assert [report.outcome for report in reports] == [RungOutcome.NOT_NEEDED] * 3, reports
    assert case.pid(KAFKA) == pid
    assert case.actions() == ()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_a_dead_and_a_hung_broker_are_back_within_seconds(case: Case, number: signal.Signals) -> None:
    pid = case.pid(KAFKA)
    os.kill(pid, number)
    begin = time.monotonic()
    report = case.run(RESTART)
    took = time.monotonic() - begin
    assert report.outcome is RungOutcome.DONE, report.text
    assert case.pid(KAFKA) != pid
    assert took < 40, report  # 5 to 8 s on a machine that does nothing else
    assert case.run(TOPICS).outcome is RungOutcome.NOT_NEEDED


def test_a_port_that_somebody_else_has_is_named_and_nothing_is_started(case: Case) -> None:
    os.kill(case.pid(KAFKA), signal.SIGKILL)
    with wait_for(lambda: _listener(case.settings.kafka_port), 10, "the dead broker's port is free"):
        report = case.run(RESTART)
        assert report.outcome is RungOutcome.BY_PEOPLE, report.text
        assert report.facts["pids"] == [os.getpid()]
        assert f"port {case.settings.kafka_port} is held by process {os.getpid()}" in report.text.lower()
        assert case.actions() == ()
        assert case.status(KAFKA).pid is None
    assert case.run(RESTART).outcome is RungOutcome.DONE


def _garbage_as_identity(folder: Path) -> None:
    (folder / "meta.properties").write_text("garbage")


def _garbage_as_vote(folder: Path) -> None:
    (folder / "__cluster_metadata-0" / "quorum-state").write_text("garbage")


def _garbage_beside_the_trades(folder: Path) -> None:
    (folder / f"{TRADES}-0" / "leader-epoch-checkpoint").write_text("garbage")


@pytest.mark.timeout(240)
@pytest.mark.parametrize("damage", [_garbage_as_identity, _garbage_as_vote, _garbage_beside_the_trades])
def test_a_damaged_log_is_moved_aside_only_with_a_yes_and_topics_are_made_again(
    case: Case, damage: Callable[[Path], None]
) -> None:
    folder = broker_data(case.settings)
    _publish(case.settings, b"a trade of before")
    os.kill(case.pid(KAFKA), signal.SIGKILL)
    wait_for(lambda: case.status(KAFKA).pid is None, 10)
    damage(folder)
    assert case.remediation.asks(case.request, ASIDE).need is Need.NOT_NEEDED  # it came up with it the last time

    begin = time.monotonic()
    failed = case.run(RESTART)
    assert failed.outcome is RungOutcome.FAILED
    assert "has ended again" in failed.text
    assert time.monotonic() - begin < 20
    again = case.run(RESTART)
    assert again.outcome is RungOutcome.FORBIDDEN, (failed.text, again.text)  # no loop

    asked = case.remediation.asks(case.request, ASIDE)
    assert asked.need is Need.NEEDED, asked.text
    assert str(folder) in asked.facts["folder"]
    assert case.run(ASIDE).outcome is RungOutcome.NOT_APPROVED
    before = _files(folder)

    report = case.run(ASIDE, Approval(True, "bob"))
    assert report.outcome is RungOutcome.DONE, report.text
    aside = folder.with_name(report.facts["kept"])
    assert _files(aside) == before, "kept whole"
    assert any(b"a trade of before" in content for content in before.values())
    made = case.run(TOPICS)
    assert made.outcome is RungOutcome.DONE, made.text
    assert topic_problems(case.settings.bootstrap_servers, expected_topics(case.settings)) == []
    _publish(case.settings, b"a trade of now")
    assert case.run(RESTART).outcome is RungOutcome.NOT_NEEDED


def _publish(settings: Settings, value: bytes) -> None:
    producer = Producer({"bootstrap.servers": settings.bootstrap_servers})
    producer.produce(TRADES, value)
    assert producer.flush(20) == 0


def _files(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def _listener(port: int) -> socket.socket:
    stranger = socket.socket()
    stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    stranger.bind(("127.0.0.1", port))
    stranger.listen()
    return stranger
