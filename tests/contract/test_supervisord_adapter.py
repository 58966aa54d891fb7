"""What is special about supervisord: it may hang, forget, or have been replaced by another one."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from include.services.controller import ServiceOutcome, ServiceState
from include.services.errors import HostUnreachableError, StartFailedError
from include.services.processes import identify, is_alive
from tests.support.supervisord import Supervisord
from tests.support.waiting import wait_for

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = {
    "holder": f"import sys, time; sys.path.insert(0, {str(ROOT)!r})\n"
    "from pathlib import Path; from include.runtime.single_instance import hold_single_instance\n"
    "held = hold_single_instance('holder', Path(__file__).parent); time.sleep(600)",
    "brief": "raise SystemExit(3)",
}

Host = Callable[..., Supervisord]


@pytest.fixture
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    made: list[Supervisord] = []

    def make(**options: object) -> Supervisord:
        made.append(Supervisord(PROGRAMS, tmp_path_factory.mktemp("host"), **options))
        return made[-1]

    yield make
    for supervisord in made:
        supervisord.close()


def test_a_process_that_outlived_its_supervisord_is_not_started_twice_and_can_be_stopped(host: Host) -> None:
    supervisord = host()
    controller = supervisord.controller
    controller.start("holder", 5)
    process = identify(controller.status("holder").pid)
    assert process
    lock = supervisord._folder / "holder.lock"
    wait_for(lambda: lock.read_text().strip() == str(process.pid), 10, "the lock is held")
    supervisord.kill()
    with pytest.raises(HostUnreachableError):
        controller.status("holder")
    supervisord.start()

    status = controller.status("holder")
    assert (status.state, status.pid) == (ServiceState.RUNNING, process.pid)
    assert "outlived" in status.description
    assert controller.start("holder", 5) is ServiceOutcome.ALREADY_RUNNING
    assert controller.stop("holder", 5) is ServiceOutcome.STOPPED
    assert not is_alive(process)
    assert controller.start("holder", 5) is ServiceOutcome.STARTED, "the lock file that is left means nothing"


@pytest.mark.parametrize("verb", ["statuses", "status"])
def test_a_supervisord_that_hangs_is_given_two_seconds(host: Host, verb: str) -> None:
    supervisord = host()
    supervisord.signal(signal.SIGSTOP)
    begin = time.monotonic()
    with pytest.raises(HostUnreachableError, match="timed out"):
        getattr(supervisord.controller, verb)(*(["holder"] if verb == "status" else []))
    assert 1.5 < time.monotonic() - begin < 4


def test_an_exit_code_that_supervisord_forgot_is_reported_as_unknown(host: Host) -> None:
    controller = host(startsecs=1).controller  # an end within startsecs loses the exit code
    with pytest.raises(StartFailedError) as caught:
        controller.start("brief", 10)
    assert caught.value.exit_code is None
    assert "exit code unknown" in str(caught.value)


def test_a_stop_ends_the_retries_of_supervisord_itself(host: Host) -> None:
    controller = host(startsecs=1, startretries=30).controller
    with pytest.raises(StartFailedError):
        controller.start("brief", 10)
    assert controller.status("brief").state is ServiceState.BACKOFF
    assert controller.stop("brief", 5) is ServiceOutcome.STOPPED
    time.sleep(1.3)  # its first retry would come after one second
    assert controller.status("brief").state is ServiceState.STOPPED


def test_a_start_waits_for_startsecs(host: Host) -> None:
    controller = host(startsecs=1).controller
    begin = time.monotonic()
    assert controller.start("holder", 10) is ServiceOutcome.STARTED
    assert time.monotonic() - begin >= 1
    assert controller.status("holder").state is ServiceState.RUNNING


def test_programs_of_a_group_go_by_their_own_names(host: Host) -> None:
    controller = host(extra="[group:data]\nprograms=holder\n").controller
    assert [s.name for s in controller.statuses()] == ["brief", "holder"]
    assert controller.start("holder", 5) is ServiceOutcome.STARTED
    assert controller.restart("holder", 5) is ServiceOutcome.RESTARTED


def test_shutting_down_counts_as_away(host: Host) -> None:
    supervisord = host()
    supervisord.controller.start("holder", 5)
    supervisord.controller._rpc.call("shutdown")

    def until_it_refuses() -> None:
        while supervisord.controller.status("holder"):
            pass

    with pytest.raises(HostUnreachableError):
        until_it_refuses()
