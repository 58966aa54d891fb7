"""What the rungs conclude where processes, ports and folders are not those of this machine."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest

from include.health.observations import Code, Probe
from include.playbook.names import Cause, Component, ScenarioId
from include.remediation.circumstances import folder_of_server, full_disk, port_conflict
from include.remediation.model import Need
from include.remediation.processor_view import ProcessorView
from include.remediation.rungs_common import is_suspended
from include.remediation.rungs_kafka import RestartKafka
from include.remediation.rungs_kafka_log import MoveKafkaLogAside
from include.remediation.rungs_mysql import RestartMysql
from include.remediation.rungs_producer import RestartProducer
from include.remediation.rungs_reconnect import ReconnectFeed
from include.remediation.tools import Tools
from include.services.controller import ServiceState, ServiceStatus
from include.settings import ServiceAdapter, Settings
from include.stack.kafka import broker_data
from tests.support.processing import RUNNING, replace_facts
from tests.support.producer_bench import ProducerBench, producer_bench, told, traded
from tests.support.remediating import Bench, observation

DAMAGE = "org.apache.kafka.common.errors.CorruptRecordException: Record is corrupt"
FULL = "java.io.IOException: No space left on device"
STRANGER = 1  # a pid that is another process here
CANARY = Probe.KAFKA_CANARY


class Containers:
    """A process host whose pids mean nothing here, and which keeps the logs: of all runs, and of the last."""

    def __init__(self, *statuses: ServiceStatus, last_run: tuple[str, ...] = ()) -> None:
        self._statuses, self._last_run = {status.name: status for status in statuses}, last_run

    def status(self, name: str) -> ServiceStatus:
        return self._statuses[name]

    def tail(self, name: str, lines: int) -> tuple[str, ...]:
        return (f"2020-01-01T00:00:00.000Z [ERROR] {DAMAGE}", *self._last_run)[-lines:]

    def log_since(self, name: str, mark: str, most: int) -> tuple[tuple[str, ...], str]:
        return (), "end"

    def run_log(self, name: str, most: int) -> tuple[str, ...]:
        return self._last_run[-most:]


def in_containers(tools: Tools, *statuses: ServiceStatus, log: tuple[str, ...] = (), **changes: Any) -> Tools:
    changed = {"service_adapter": ServiceAdapter.DOCKER, "mysql_host": "mysql", **changes}
    settings = tools.settings.model_copy(update=changed)
    controller: Any = Containers(*statuses, last_run=log)
    return replace(tools, settings=settings, controller=controller)


def alive(bench: Bench, name: str, **more: Any) -> ServiceStatus:
    return ServiceStatus(name, ServiceState.RUNNING, STRANGER, bench.tools.now() - timedelta(minutes=5), **more)


def gone(bench: Bench, name: str) -> ServiceStatus:
    return ServiceStatus(name, ServiceState.EXITED, None, bench.tools.now() - timedelta(minutes=5), -9)


@pytest.fixture(autouse=True)
def _nobody_looks_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever looks for a pid or a port on this machine fails the test."""

    def refuse(*_: Any, **__: Any) -> Any:
        raise AssertionError("looked at this machine")

    for name in ("Process", "net_connections"):
        monkeypatch.setattr(psutil, name, refuse)


@pytest.mark.parametrize(
    ("log", "need", "words"),
    [
        ((), Need.NEEDED, "ended by signal 9"),  # damage of an earlier run is none of this one
        ((f"2026-01-01T00:00:00Z [ERROR] {FULL}",), Need.BY_PEOPLE, "cannot be seen from here"),
        ((f"2026-01-01T00:00:00Z [ERROR] {DAMAGE}",), Need.BY_PEOPLE, "Keep a copy of it"),
    ],
)
def test_a_broker_that_is_gone(bench: Bench, log: tuple[str, ...], need: Need, words: str) -> None:
    tools = in_containers(bench.tools, gone(bench, "kafka"), log=log)
    found = RestartKafka(tools, bench.request(bench.incident())).need()
    assert (found.need, words in found.text) == (need, True), found.text


@pytest.mark.parametrize(
    ("log", "need", "words"),
    [
        ((), Need.NOT_NEEDED, "does not name damage"),
        ((f"2026-01-01T00:00:00Z [ERROR] {DAMAGE}",), Need.BY_PEOPLE, "Record is corrupt"),
    ],
)
def test_nobody_moves_a_volume_aside(bench: Bench, log: tuple[str, ...], need: Need, words: str) -> None:
    tools = in_containers(bench.tools, gone(bench, "kafka"), log=log)
    broker_data(tools.settings).mkdir(parents=True)  # a folder of that name here is not the broker's
    found = MoveKafkaLogAside(tools, bench.request(bench.incident())).need()
    assert (found.need, words in found.text) == (need, True), found.text


@pytest.mark.parametrize(
    ("host", "seen", "need", "words"),
    [
        ("mysql", Code.REFUSED, Need.NEEDED, "lives and does not answer"),  # where it listens cannot be looked up
        ("mysql", Code.DISK_FULL, Need.BY_PEOPLE, "cannot be seen from here"),
        ("db.example.org", Code.TIMEOUT, Need.BY_PEOPLE, "is not the container mysql"),
    ],
)
def test_a_database_that_lives(bench: Bench, host: str, seen: Code, need: Need, words: str) -> None:
    tools = in_containers(bench.tools, alive(bench, "mysql"), mysql_host=host)
    bench.seen |= {Probe.MYSQL_CANARY: observation(Probe.MYSQL_CANARY, seen)}
    told_of = {"scenario": ScenarioId.MYSQL_NOT_WRITING, "target": Component.MYSQL, "cause": Cause.UNKNOWN}
    found = RestartMysql(tools, bench.request(bench.incident(**told_of))).need()
    assert (found.need, words in found.text) == (need, True), found.text


@pytest.mark.parametrize("suspended", [True, False])
def test_a_paused_container_is_suspended_by_its_hosts_word(bench: Bench, suspended: bool) -> None:
    status = alive(bench, "kafka", suspended=suspended)
    tools = in_containers(bench.tools, status)
    assert is_suspended(tools, status) is suspended
    bench.seen |= {CANARY: observation(CANARY)}
    needed = Need.NEEDED if suspended else Need.NOT_NEEDED
    assert RestartKafka(tools, bench.request(bench.incident())).need().need is needed


def test_a_port_here_says_nothing_of_one_in_a_container(bench: Bench) -> None:
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        port = stranger.getsockname()[1]
        settings = in_containers(bench.tools, kafka_port=port).settings
        assert port_conflict(settings, "kafka", ("kafka_port",)) is None


def test_a_folder_that_cannot_be_seen_is_full_only_by_its_servers_word() -> None:
    assert full_disk("kafka", None) is None
    found = full_disk("kafka", None, FULL)
    assert found is not None
    assert (found.need, FULL in found.text) == (Need.BY_PEOPLE, True)


@pytest.fixture
def plant(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Iterator[ProducerBench]:
    with producer_bench(bench, monkeypatch) as made:
        yield made


def test_a_silent_feed_is_reconnected_by_a_restart(plant: ProducerBench) -> None:
    plant.see(told(100, silent_seconds=9.0), traded(200))
    request = plant.request(cause=Cause.UNKNOWN)
    tools = in_containers(plant.tools, alive(plant.bench, "btc_producer"))
    found = ReconnectFeed(tools, request).need()
    assert (found.need, "runs in a container" in found.text) == (Need.NOT_NEEDED, True), found.text
    assert RestartProducer(tools, request).need().need is Need.NEEDED


@pytest.mark.parametrize(("age", "good"), [(290.0, True), (900.0, False)])
def test_a_batch_counts_if_the_job_is_no_older_than_its_container(bench: Bench, age: float, good: bool) -> None:
    tools = in_containers(bench.tools, alive(bench, "stream_processor"))
    facts = replace_facts(RUNNING, pid=7, age_seconds=age)
    bench.seen |= {Probe.PROCESSOR: observation(Probe.PROCESSOR, facts=facts)}
    assert ProcessorView(tools).has_ended_a_batch().good is good


def test_the_folder_of_a_systemd_unit_is_believed_if_it_is_there(tmp_path: Path) -> None:
    for adapter, seen in ((ServiceAdapter.SUPERVISORD, True), (ServiceAdapter.DOCKER, False)):
        settings = Settings(_env_file=None, home=tmp_path, service_adapter=adapter)
        assert (folder_of_server(settings, tmp_path / "kafka") is not None) is seen
    settings = Settings(_env_file=None, home=tmp_path, service_adapter=ServiceAdapter.SYSTEMD)
    assert folder_of_server(settings, tmp_path / "kafka") is None
    (tmp_path / "kafka").mkdir()
    assert folder_of_server(settings, tmp_path / "kafka") == tmp_path / "kafka"
