"""What each source tells, and what it tells when there is nothing to be told."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from include.health.observations import (
    Code,
    Observation,
    OffsetsFacts,
    Outcome,
    PartitionFacts,
    Probe,
    RoundTripFacts,
)
from include.review import evidence_program
from include.review.evidence_endpoints import read_endpoints, read_spark_progress
from include.review.evidence_logs import log_sources, read_log
from include.review.evidence_probes import Probes, offsets_source, probe_source
from include.review.evidence_processes import read_host, read_processes
from include.review.evidence_program import read_code, read_settings
from include.runtime.temporary_settings import TemporarySetting, TemporarySettings
from include.services.fake import FakeServiceController
from include.services.names import KAFKA, PRODUCER
from include.services.supervision_store import Hold, HoldReason, SupervisionState, SupervisionStore
from include.settings import Settings, load_settings
from include.stack.ports import free_ports
from include.stack.secrets import ensure_secrets
from tests.support.waiting import wait_for

LOG = """\
2026-01-01T00:00:00.000Z [info     ] connected
2026-01-01T00:00:01.000Z [error    ] Kafka refused a record
Traceback (most recent call last):
  File "x.py", line 1, in x
KafkaError: broker is away
2026-01-01T00:00:02.000Z [error    ] websocket closed
2026-01-01T00:00:03.000Z [info     ] connected
"""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    names = [name for name in Settings.model_fields if name.endswith("_port")]
    ports = dict(zip(names, free_ports(len(names)), strict=True))
    ensure_secrets(load_settings(home=tmp_path, **ports))
    return load_settings(home=tmp_path, **ports)


@pytest.fixture
def controller(tmp_path: Path) -> Iterator[FakeServiceController]:
    programs = {name: ["sleep", "60"] for name in (KAFKA, PRODUCER, "worker")}
    controller = FakeServiceController(programs, tmp_path / "log", settle_seconds=0.01)
    yield controller
    controller.close()


# --- logs
def test_the_end_of_a_log_and_its_errors_newest_first(tmp_path: Path) -> None:
    path = tmp_path / "btc_producer.log"
    path.write_text(LOG)
    found = read_log(path, 6)
    assert found.content.splitlines() == LOG.splitlines()[-6:]
    assert [line.partition(": ")[0] for line in found.highlights] == ["exchange", "kafka"]
    assert "broker is away" in found.highlights[1]
    assert found.facts == {"errors": {"kafka": 1, "exchange": 1}}
    assert found.note == "errors in these 6 lines: 1 kafka, 1 exchange"


def test_a_log_without_errors_and_one_that_is_not_there(settings: Settings) -> None:
    settings.log_dir.mkdir(exist_ok=True)
    (settings.log_dir / "kafka.log").write_text("2026-01-01T00:00:00.000Z [info] up\n")
    kafka, mysql = (source.read() for source in log_sources(settings, ("kafka", "mysql"), 10))
    assert (kafka.highlights, kafka.facts, kafka.note) == ((), {}, "errors in these 1 lines: none")
    assert (mysql.available, mysql.note) == (False, "there is no mysql.log")


def test_the_part_of_a_line_that_was_not_read_whole_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "flood.log"
    path.write_bytes(b"password=" + b"s" * 5_000_000 + b"\nlast\n")
    assert read_log(path, 10).content == "last"


# --- processes
def test_processes_and_who_holds_which_port(settings: Settings, controller: FakeServiceController) -> None:
    controller.start(PRODUCER, 5)
    with socket.create_server(("127.0.0.1", settings.kafka_port)):
        found = read_processes(settings, controller)
    services = {service["name"]: service for service in found.content["services"]}
    assert (services[PRODUCER]["state"], services[PRODUCER]["process"]["command_line"]) == ("running", "sleep 60")
    assert services[PRODUCER]["process"]["resident_bytes"] > 0
    ports = {port["setting"]: port for port in found.content["ports"]}
    assert f"(pid {os.getpid()})" in ports["kafka_port"]["holder"]
    assert (ports["mysql_port"]["holder"], ports["mysql_port"]["foreign"]) == ("", False)
    assert found.highlights[0].startswith(f"port {settings.kafka_port} of kafka is held by ")
    assert found.highlights[1:] == ("kafka: stopped",)


def test_a_port_that_its_own_process_holds_is_nothing_to_tell(
    settings: Settings, controller: FakeServiceController
) -> None:
    controller.start(KAFKA, 5)
    with socket.create_server(("127.0.0.1", settings.kafka_port)):
        found = read_processes(settings, controller)
    assert not [line for line in found.highlights if line.startswith("port")]


@pytest.mark.parametrize("story", ["killed", "suspended", "held"])
def test_what_is_odd_about_a_process(settings: Settings, controller: FakeServiceController, story: str) -> None:
    controller.start(PRODUCER, 5)
    pid = controller.status(PRODUCER).pid
    assert pid
    match story:
        case "killed":
            os.kill(pid, signal.SIGKILL)
            wait_for(lambda: controller.status(PRODUCER).pid is None, 5, "it is gone")
        case "suspended":
            os.kill(pid, signal.SIGSTOP)
            wait_for(lambda: Path(f"/proc/{pid}/stat").read_text().split()[2] == "T", 5, "it is suspended")
        case "held":
            controller.stop(PRODUCER, 5)
            hold = Hold(HoldReason.STOPPED_AT_HOST, 0)
            SupervisionStore(PRODUCER, settings.run_dir).save(SupervisionState(hold=hold))
    told = {
        "killed": "btc_producer: exited, exit code -9",
        "suspended": "btc_producer: running, suspended by a signal",
        "held": "btc_producer: stopped, exit code -15, held: stopped_at_host",
    }
    assert told[story] in read_processes(settings, controller).highlights
    if story == "suspended":
        os.kill(pid, signal.SIGCONT)


def test_without_the_process_host_the_ports_are_told_all_the_same(
    settings: Settings, controller: FakeServiceController
) -> None:
    controller.unreachable = True
    with socket.create_server(("127.0.0.1", settings.kafka_port)):
        found = read_processes(settings, controller)
    assert not found.available
    assert "process host does not answer" in found.note
    assert [port["setting"] for port in found.content["ports"] if port["holder"]] == ["kafka_port"]
    assert found.highlights == (), "whose it is, nobody knows"


def test_the_machine(settings: Settings, controller: FakeServiceController) -> None:
    settings.checkpoint_dir.mkdir(parents=True)
    found = read_host(Probes(settings, controller))
    assert found.content["memory_bytes"]["total"] > found.content["memory_bytes"]["available"] > 0
    assert found.content["observation"]["facts"]["disk_free_bytes"]["checkpoint"] > 0
    assert found.highlights[0].startswith("load ")
    assert any(line.startswith("disk of checkpoint: ") for line in found.highlights)


# --- endpoints
def test_which_endpoints_can_be_reached() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        here, gone = f"127.0.0.1:{server.getsockname()[1]}", f"127.0.0.1:{free_ports(1)[0]}"
        rest = (f"http://{here}", f"http://{gone}", "http://name.invalid:1")
        found = read_endpoints(
            load_settings(feed="live", live_rest_endpoints=rest, live_stream_endpoints=(f"ws://{here}",))
        )
    assert found.available
    assert found.highlights[0] == "2 of 4 endpoints accept connections"
    assert {line.split(": ")[0] for line in found.highlights[1:]} == {f"http://{gone}", "http://name.invalid:1"}
    assert found.content[f"ws://{here}"]["connected_in_seconds"] >= 0


def test_progress_of_a_processor_that_does_not_answer(settings: Settings) -> None:
    found = read_spark_progress(settings)
    assert not found.available
    assert found.note == (
        f"stream_processor does not answer (refused): nobody listens at port {settings.processor_health_port}"
    )


def test_progress_of_one_that_answers(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = {"id": 4, "input_rows": 12, "duration_ms": {"total": 90}, "committed_at": "12:00"}
    document = {
        "status": "retrying_mysql",
        "pid": 7,
        "batch": {"running": True, "age_seconds": 12.5, "phase": "mysql"},
        "last_batch": batch,
        "last_error": {"at": "12:01", "kind": "connectivity", "message": "server has gone away"},
    }
    monkeypatch.setattr("include.review.evidence_endpoints.read_document", lambda *_: document)
    found = read_spark_progress(settings)
    assert found.content == document
    assert found.highlights == (
        "status retrying_mysql, pid 7",
        "a batch runs for 12.5 s, in phase mysql",
        "last batch 4: 12 rows in 90 ms, committed at 12:00",
        "last error at 12:01 (connectivity): server has gone away",
    )


# --- code and settings
def test_the_commit_that_is_checked_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evidence_program, "PROJECT_ROOT", tmp_path)
    found = read_code()
    assert not found.available
    assert "not a git repository" in found.note
    assert found.content["versions"]["python"] == sys.version.split()[0]
    git = ["git", "-C", str(tmp_path), "-c", "user.name=A", "-c", "user.email=a@b"]
    (tmp_path / "file").write_text("1")
    for arguments in (["init", "-q"], ["add", "file"], ["commit", "-q", "-m", "First: the file"]):
        subprocess.run([*git, *arguments], check=True)
    found = read_code()
    assert found.available
    assert found.content["subject"] == "First: the file"
    assert found.facts == {"commit": found.content["commit"]}
    assert found.highlights[0].endswith(", nothing differs from it")
    (tmp_path / "file").write_text("2")
    assert read_code().highlights[0].endswith(", 1 files differ from it")


def test_a_machine_without_git(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    found = read_code()
    assert not found.available
    assert "git" in found.note


def test_settings_and_what_a_remedy_changed_for_a_time(settings: Settings) -> None:
    settings.run_dir.mkdir(parents=True, exist_ok=True)
    TemporarySettings(settings.run_dir).put(
        TemporarySetting(
            "micro_batch_seconds", "5", "1", "INC-2026-0001", "health", "lag grows", "2026-01-01T00:00:00Z"
        )
    )
    found = read_settings(settings)
    every = found.content["settings"]
    assert set(every) == set(Settings.model_fields)
    assert (every["mysql_password"], every["incident_store_password"]) == ("(hidden)", "")
    assert (every["symbols"], every["feed"]) == (["BTCUSDT", "ETHUSDT"], "generated")
    assert found.content["not_as_delivered"]["kafka_port"] == settings.kafka_port
    assert "symbols" not in found.content["not_as_delivered"]
    assert found.highlights == ("for a time: micro_batch_seconds = 5 instead of 1",)
    assert found.content["temporary"][0]["because"] == "lag grows"


# --- probes
class OneProbe:
    """A probe with an answer ready."""

    every = deadline = 1.0
    overrun = Outcome.FAILED

    def __init__(self, answer: Observation, seen: list[str]) -> None:
        self.name, self._answer, self._seen = answer.probe, answer, seen

    def look(self) -> Observation:
        self._seen.append(self.name.value)
        return self._answer

    def close(self) -> None: ...


def _answers(monkeypatch: pytest.MonkeyPatch, settings: Settings, *answers: Observation) -> tuple[Probes, list[str]]:
    seen: list[str] = []
    ready = {answer.probe: OneProbe(answer, seen) for answer in answers}
    monkeypatch.setattr(Probes, "_family", lambda self, name: (ready[name],))
    return Probes(settings, FakeServiceController({}, settings.log_dir)), seen


def _ok(probe: Probe) -> Observation:
    return Observation(probe=probe, outcome=Outcome.OK, facts=RoundTripFacts(seconds=0.01))


@pytest.mark.parametrize(
    ("outcome", "available", "highlights"),
    [
        (Outcome.OK, True, ()),
        (Outcome.FAILED, True, ("mysql_canary failed (timeout, number 2013): lost",)),
        (Outcome.BLIND, False, ()),
    ],
)
def test_a_target_that_fails_is_evidence_and_a_probe_that_could_not_look_is_none(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, outcome: Outcome, available: bool, highlights: tuple[str, ...]
) -> None:
    answer = _ok(Probe.MYSQL_CANARY)
    if outcome is not Outcome.OK:
        answer = Observation(probe=answer.probe, outcome=outcome, code=Code.TIMEOUT, error="lost", number=2013)
    probes, _ = _answers(monkeypatch, settings, answer)
    found = probe_source(probes, Probe.MYSQL_CANARY).read()
    assert (found.available, found.highlights) == (available, highlights)
    assert found.content["outcome"] == outcome.value


@pytest.mark.parametrize(
    ("code", "looks"), [(Code.REFUSED, ["kafka_tcp"]), (Code.TIMEOUT, ["kafka_tcp", "kafka_canary", "offsets"])]
)
def test_where_nobody_listens_nobody_is_waited_for(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, code: Code, looks: list[str]
) -> None:
    tcp = Observation(probe=Probe.KAFKA_TCP, outcome=Outcome.FAILED, code=code, error="127.0.0.1:1")
    probes, seen = _answers(monkeypatch, settings, tcp, _ok(Probe.KAFKA_CANARY), _ok(Probe.OFFSETS))
    canary = probe_source(probes, Probe.KAFKA_CANARY).read()
    offsets_source(probes).read()
    assert seen == looks
    assert [line.count("not tried, nobody listens") for line in canary.highlights] == [1] * (code is Code.REFUSED)
    assert canary.content["probe"] == "kafka_canary"


def test_the_exchange_is_asked_after_the_producer_which_may_know_that_it_wants_to_be_left_alone(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    probes, seen = _answers(monkeypatch, settings, _ok(Probe.EXCHANGE), _ok(Probe.PRODUCER))
    probe_source(probes, Probe.EXCHANGE).read()
    probe_source(probes, Probe.PRODUCER).read()
    assert seen == ["producer", "exchange"], "and the producer's answer serves both"


def test_offsets_in_words(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    partitions = {
        0: PartitionFacts(end=100, committed=90, waiting_seconds=4.0),
        1: PartitionFacts(end=50, committed=50, waiting_seconds=0.0),
        2: PartitionFacts(end=7, committed=None, waiting_seconds=None),
    }
    facts = OffsetsFacts(partitions=partitions, retention_seconds=60.0)
    answer = Observation(probe=Probe.OFFSETS, outcome=Outcome.OK, facts=facts)
    probes, _ = _answers(monkeypatch, settings, _ok(Probe.KAFKA_TCP), answer)
    found = offsets_source(probes).read()
    assert found.facts == {"lag": 17}
    assert found.highlights == (
        "17 records not finished, the oldest waits for 4.0 s; by partition: {0: 10, 1: 0, 2: 7}",
    )
