"""What is special about Docker: who wanted an end, which container counts, a proxy that forbids, a deaf engine."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from include.services.controller import ServiceOutcome, ServiceState
from include.services.docker import DockerController
from include.services.errors import (
    HostForbidsError,
    HostNotReadyError,
    HostUnreachableError,
    ServicesError,
    StartFailedError,
    UnknownServiceError,
)
from include.services.factory import check_rights
from include.services.names import SERVICES
from include.services.stop_notes import StopNotes
from include.settings import ServiceAdapter, Settings
from tests.support.docker_engine import PROJECT, Container, StandInEngine, labels_of
from tests.support.supervisord import write_scripts
from tests.support.waiting import wait_for

ORDERLY = (
    "import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit({code})); print('on', flush=True)\n"
)
PROGRAMS = {
    "kafka": "import time; print('on', flush=True); time.sleep(600)",
    "mysql": ORDERLY.format(code=0) + "time.sleep(600)",
    "exchange": ORDERLY.format(code=7) + "time.sleep(600)",
    "btc_producer": "import sys; print('out'); print('err', file=sys.stderr); raise SystemExit(3)",
    "stream_processor": "raise SystemExit(0)",
}


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[StandInEngine]:
    engine = StandInEngine(write_scripts(PROGRAMS, tmp_path), tmp_path)
    yield engine
    engine.close()


@pytest.fixture
def controller(engine: StandInEngine, tmp_path: Path) -> DockerController:
    return DockerController(engine.url, PROJECT, tmp_path / "run", settle_seconds=0.3)


def test_only_the_named_services_are_asked_about(engine: StandInEngine, tmp_path: Path) -> None:
    """Each is a question to the engine, twice a second."""
    controller = DockerController(engine.url, PROJECT, tmp_path / "run", names=("kafka", "mysql"))
    assert [status.name for status in controller.statuses()] == ["kafka", "mysql"]
    with pytest.raises(UnknownServiceError, match="there are: kafka, mysql"):
        controller.status("exchange")


def started(controller: DockerController, engine: StandInEngine, name: str) -> Container:
    controller.start(name, 5)
    container = engine.of(name)
    wait_for(lambda: container.log, 10, f"{name} has its signal handler")
    return container


@pytest.mark.parametrize(
    ("number", "state", "code"),
    [
        (signal.SIGKILL, ServiceState.EXITED, -9),
        (signal.SIGSEGV, ServiceState.EXITED, -11),
        (signal.SIGINT, ServiceState.STOPPED, None),
        (signal.SIGTERM, ServiceState.STOPPED, -15),
    ],
)
def test_an_end_in_order_counts_as_wanted_and_one_by_force_does_not(
    controller: DockerController, engine: StandInEngine, number: signal.Signals, state: ServiceState, code: int | None
) -> None:
    container = started(controller, engine, "kafka")
    assert container.process
    os.kill(container.process.pid, number)
    assert container.ended.wait(10)
    if number == signal.SIGINT:
        container.exit_code, code = 130, -2  # as a shell reports it; Python makes an exception of it
    status = controller.status("kafka")
    assert (status.state, status.exit_code) == (state, code)
    assert status.stopped_on_request is (state is ServiceState.STOPPED)


def test_a_stop_by_another_hand_is_wanted_if_the_program_heeds_it(
    controller: DockerController, engine: StandInEngine
) -> None:
    started(controller, engine, "mysql").stop(5)
    assert controller.status("mysql").stopped_on_request
    assert controller.status("mysql").exit_code == 0


def test_our_own_stop_is_wanted_whatever_comes_of_it_and_only_that_run(
    controller: DockerController, engine: StandInEngine, tmp_path: Path
) -> None:
    container = started(controller, engine, "exchange")
    assert controller.stop("exchange", 5) is ServiceOutcome.STOPPED
    status = DockerController(engine.url, PROJECT, tmp_path / "run").status("exchange")  # another process
    assert (status.state, status.exit_code) == (ServiceState.STOPPED, 7)
    container.log.clear()
    started(controller, engine, "exchange").stop(5)
    assert controller.status("exchange").state is ServiceState.EXITED


def test_a_stop_that_came_to_nothing_does_not_excuse_an_end_long_after(
    controller: DockerController, engine: StandInEngine, tmp_path: Path
) -> None:
    container = started(controller, engine, "kafka")
    notes, run = StopNotes(tmp_path / "run"), f"{container.id} {container.started_at}"
    notes.write("kafka", run, seconds=60)
    assert controller.status("kafka").state is ServiceState.STOPPING
    notes.write("kafka", run, seconds=-60)  # whoever asked died before it did
    assert controller.status("kafka").state is ServiceState.RUNNING
    assert container.process
    container.process.kill()
    assert container.ended.wait(10)
    assert controller.status("kafka").state is ServiceState.EXITED


def test_memory_that_ran_out_is_told(controller: DockerController, engine: StandInEngine) -> None:
    container = started(controller, engine, "kafka")
    assert container.process
    container.out_of_memory = True
    container.process.kill()
    assert container.ended.wait(10)
    assert "out of memory" in controller.status("kafka").description


def test_what_the_engine_says_of_a_start_is_the_reason_and_no_wish(
    controller: DockerController, engine: StandInEngine
) -> None:
    engine.of("kafka").start_error = "driver failed: Bind for 127.0.0.1:9092 failed: port is already allocated"
    with pytest.raises(StartFailedError, match="port is already allocated"):
        controller.start("kafka", 5)
    status = controller.status("kafka")
    assert status.state is ServiceState.FATAL
    assert "already allocated" in status.description
    engine.of("kafka").start_error = ""
    assert controller.start("kafka", 5) is ServiceOutcome.STARTED
    assert controller.status("kafka").state is ServiceState.RUNNING


def test_both_streams_are_in_the_log_and_an_end_at_once_is_a_failed_start(controller: DockerController) -> None:
    with pytest.raises(StartFailedError) as caught:
        controller.start("btc_producer", 5)
    assert sorted(caught.value.log_lines) == ["err", "out"]
    assert caught.value.exit_code == 3
    with pytest.raises(StartFailedError):
        controller.start("stream_processor", 5)


def test_the_first_replica_counts_and_runs_by_hand_do_not(controller: DockerController, engine: StandInEngine) -> None:
    for identity, labels in (
        ("a" * 64, labels_of(PROJECT, "kafka", 2)),
        ("b" * 64, labels_of(PROJECT, "kafka", 0, one_off=True)),
        ("c" * 64, labels_of("another-project", "postgres")),
        ("d" * 64, labels_of(PROJECT, "airflow-init")),
    ):
        engine.add(Container(identity, "another", ["true"], labels))
    controller.start("kafka", 5)
    assert engine.of("kafka").running
    assert [s.name for s in controller.statuses()] == sorted([*PROGRAMS, "airflow-init"])


def test_a_container_that_was_made_anew_is_found(controller: DockerController, engine: StandInEngine) -> None:
    assert controller.status("kafka").state is ServiceState.STOPPED
    old = engine.containers.pop(engine.of("kafka").id)
    with pytest.raises(UnknownServiceError, match="there are: btc_producer, exchange"):
        controller.status("kafka")
    engine.add(Container("e" * 64, "kafka", old.argv, old.labels))
    assert controller.start("kafka", 5) is ServiceOutcome.STARTED


def test_paused_and_restarting_containers(controller: DockerController, engine: StandInEngine) -> None:
    container = started(controller, engine, "kafka")
    container.paused = True
    status = controller.status("kafka")
    assert (status.state, status.suspended, status.pid is None) == (ServiceState.RUNNING, True, False)
    container.restarting = True
    status = controller.status("kafka")
    assert (status.state, status.pid) == (ServiceState.BACKOFF, None)


@pytest.mark.parametrize(
    ("verb", "asked"), [("list", "list containers"), ("json", "inspect a container"), ("version", "tell its version")]
)
def test_what_the_proxy_forbids_is_named_with_what_to_allow(
    controller: DockerController, engine: StandInEngine, verb: str, asked: str
) -> None:
    engine.forbidden = {verb}
    with pytest.raises(HostForbidsError, match=f"forbids to {asked}; allow GET version, containers/json"):
        controller.status("kafka")


@pytest.mark.parametrize("verb", ["start", "stop"])
def test_a_forbidden_order_changes_nothing(controller: DockerController, engine: StandInEngine, verb: str) -> None:
    if verb == "stop":
        controller.start("kafka", 5)
    engine.forbidden = {verb}
    with pytest.raises(HostForbidsError, match=f"forbids to {verb} a container"):
        getattr(controller, verb)("kafka", 5)
    state = controller.status("kafka").state
    assert state is (ServiceState.RUNNING if verb == "stop" else ServiceState.STOPPED)


def test_an_engine_that_hangs_is_given_two_seconds(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.bind(str(tmp_path / "deaf.sock"))
        deaf.listen()
        begin = time.monotonic()
        with pytest.raises(HostUnreachableError):
            DockerController(f"unix://{tmp_path}/deaf.sock", PROJECT, tmp_path).statuses()
        assert 1.5 < time.monotonic() - begin < 5


def of_docker(engine: StandInEngine, folder: Path, **more: object) -> Settings:
    chosen = {"docker_api_url": engine.url, "docker_project": PROJECT, "home": folder, **more}
    return Settings(_env_file=None, service_adapter=ServiceAdapter.DOCKER, **chosen)


def test_the_check_at_start_wants_every_service_and_the_right_to_look(engine: StandInEngine, tmp_path: Path) -> None:
    check_rights(of_docker(engine, tmp_path))
    assert {"list", "json", "logs"} <= set(engine.asked)
    assert not {"start", "stop"} & set(engine.asked)
    engine.forbidden = {"logs"}
    with pytest.raises(HostForbidsError, match="read logs"):
        check_rights(of_docker(engine, tmp_path))
    engine.forbidden = set()
    engine.containers.pop(engine.of("mysql").id)
    with pytest.raises(
        HostNotReadyError, match=r"no container of mysql; it has: btc_producer, exchange, kafka, stream"
    ):
        check_rights(of_docker(engine, tmp_path))
    with pytest.raises(HostNotReadyError, match="no container of exchange, btc_producer"):
        check_rights(of_docker(engine, tmp_path, docker_project="other"))
    engine.go_away()
    with pytest.raises(ServicesError, match="does not answer"):
        check_rights(of_docker(engine, tmp_path))
    engine.come_back()


def test_the_exchange_is_not_wanted_where_the_real_one_is_used(engine: StandInEngine, tmp_path: Path) -> None:
    assert set(SERVICES) == set(PROGRAMS)
    engine.containers.pop(engine.of("exchange").id)
    check_rights(of_docker(engine, tmp_path, feed="live"))
    with pytest.raises(HostNotReadyError, match="no container of exchange;"):
        check_rights(of_docker(engine, tmp_path))
