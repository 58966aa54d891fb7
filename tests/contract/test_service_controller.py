"""What every process host promises, told once and asked of each: the fake and a real supervisord."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from include.services.controller import ServiceController, ServiceOutcome, ServiceState
from include.services.errors import HostUnreachableError, StartFailedError, UnknownServiceError
from include.services.fake import FakeServiceController
from include.services.processes import group_members, identify, is_alive, wait_exit
from tests.support.supervisord import Supervisord, write_scripts
from tests.support.waiting import wait_for

PROGRAMS = {
    "sleeper": "import time; print('asleep', flush=True); time.sleep(600)",
    "stubborn": "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('no', flush=True)\n"
    "import subprocess, sys; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']); time.sleep(600)",
    "careless": "import signal, subprocess, sys, time\n"
    "child = 'import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)'\n"
    "subprocess.Popen([sys.executable, '-c', child]); time.sleep(600)",
    "parent": "import subprocess, sys, time\n"
    "print(subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']).pid, flush=True)\n"
    "time.sleep(0.05); raise SystemExit(4)",
    "brief": "print('cannot find the moon', flush=True); raise SystemExit(3)",
}


@dataclass
class Host:
    """A controller and a way to make its host go away."""

    controller: ServiceController
    go_away: Callable[[], None]


def _fake(folder: Path) -> Iterator[Host]:
    controller = FakeServiceController(write_scripts(PROGRAMS, folder), folder / "log")
    yield Host(controller, lambda: setattr(controller, "unreachable", True))
    controller.close()


def _supervisord(folder: Path) -> Iterator[Host]:
    host = Supervisord(PROGRAMS, folder)
    yield Host(host.controller, host.kill)
    host.close()


@pytest.fixture(params=[_fake, pytest.param(_supervisord, marks=pytest.mark.integration)], ids=["fake", "supervisord"])
def host(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    yield from request.param(tmp_path_factory.mktemp("host"))


def test_start_and_stop_say_what_they_did_and_may_be_repeated(host: Host) -> None:
    controller = host.controller
    assert controller.status("sleeper").state is ServiceState.STOPPED
    assert controller.status("sleeper").started_at is None
    assert not controller.status("sleeper").stopped_on_request
    assert controller.start("sleeper", 5) is ServiceOutcome.STARTED

    status = controller.status("sleeper")
    assert status.state is ServiceState.RUNNING
    assert status.pid
    assert status.started_at is not None
    assert abs(status.started_at.timestamp() - time.time()) < 5
    assert controller.start("sleeper", 5) is ServiceOutcome.ALREADY_RUNNING
    assert controller.status("sleeper").pid == status.pid

    assert controller.stop("sleeper", 5) is ServiceOutcome.STOPPED
    assert identify(status.pid) is None
    assert controller.status("sleeper").stopped_on_request
    assert controller.status("sleeper").pid is None
    assert controller.stop("sleeper", 5) is ServiceOutcome.ALREADY_STOPPED


def test_a_program_that_ignores_sigterm_is_killed_with_its_children_and_that_is_reported(host: Host) -> None:
    controller = host.controller
    controller.start("stubborn", 5)
    pid = controller.status("stubborn").pid
    assert pid
    wait_for(lambda: len(group_members(pid)) == 2, 10)
    begin = time.monotonic()
    assert controller.stop("stubborn", 0.3) is ServiceOutcome.KILLED
    assert time.monotonic() - begin < 5
    assert group_members(pid) == ()
    assert controller.status("stubborn").state is ServiceState.STOPPED


def test_a_program_that_ends_at_once_is_a_failed_start_with_exit_code_and_log(host: Host) -> None:
    with pytest.raises(StartFailedError, match="cannot find the moon") as caught:
        host.controller.start("brief", 5)
    assert caught.value.exit_code == 3
    assert caught.value.log_lines[-1] == "cannot find the moon"
    status = host.controller.status("brief")
    assert (status.state, status.exit_code, status.pid) == (ServiceState.EXITED, 3, None)


def test_a_child_that_outlives_its_parent_is_killed_and_that_is_reported(host: Host) -> None:
    controller = host.controller
    controller.start("careless", 5)
    pid = controller.status("careless").pid
    assert pid
    wait_for(lambda: len(group_members(pid)) == 2, 10)
    assert controller.stop("careless", 0.3) is ServiceOutcome.KILLED
    assert group_members(pid) == ()


def test_a_failed_start_leaves_no_children_behind(host: Host) -> None:
    with pytest.raises(StartFailedError) as caught:
        host.controller.start("parent", 5)
    assert caught.value.exit_code == 4
    child = int(caught.value.log_lines[0])
    wait_for(lambda: identify(child) is None, 1)


def test_a_killed_program_can_be_started_before_the_host_has_collected_it(host: Host) -> None:
    controller = host.controller
    controller.start("sleeper", 5)
    for _ in range(10):
        old = identify(controller.status("sleeper").pid)
        assert old
        os.kill(old.pid, signal.SIGKILL)
        assert wait_exit(old, 5)
        assert controller.status("sleeper").pid is None
        assert controller.start("sleeper", 5) is ServiceOutcome.STARTED
        assert controller.status("sleeper").pid != old.pid


def test_an_end_by_signal_has_a_negative_exit_code(host: Host) -> None:
    controller = host.controller
    controller.start("sleeper", 5)
    os.kill(controller.status("sleeper").pid or 0, signal.SIGKILL)
    wait_for(lambda: controller.status("sleeper").exit_code is not None, 10)
    status = controller.status("sleeper")
    assert status.state is ServiceState.EXITED
    assert status.exit_code is not None
    assert status.exit_code < 0
    assert not status.stopped_on_request


def test_two_callers_at_once_never_make_two_copies(host: Host) -> None:
    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(lambda _: host.controller.start("sleeper", 5), range(8)))
    assert sorted(outcomes) == [ServiceOutcome.ALREADY_RUNNING] * 7 + [ServiceOutcome.STARTED]


@pytest.mark.parametrize(
    ("before", "outcome"),
    [([], ServiceOutcome.STARTED), (["start"], ServiceOutcome.RESTARTED)],
    ids=["stopped", "running"],
)
def test_restart_gives_a_new_process(host: Host, before: list[str], outcome: ServiceOutcome) -> None:
    controller = host.controller
    for verb in before:
        getattr(controller, verb)("sleeper", 5)
    old = identify(controller.status("sleeper").pid)
    assert controller.restart("sleeper", 5) is outcome
    new = identify(controller.status("sleeper").pid)
    assert new
    assert new != old
    assert old is None or not is_alive(old)


def test_restart_reports_force(host: Host) -> None:
    host.controller.start("stubborn", 5)
    assert host.controller.restart("stubborn", 0.2) is ServiceOutcome.RESTARTED_AFTER_KILL


def test_all_services_are_listed_by_name(host: Host) -> None:
    assert [s.name for s in host.controller.statuses()] == sorted(PROGRAMS)


@pytest.mark.parametrize("verb", ["status", "start", "stop", "restart", "tail"])
def test_an_unknown_name_is_refused_with_the_known_ones(host: Host, verb: str) -> None:
    arguments = {"status": (), "tail": (5,)}.get(verb, (5,))
    with pytest.raises(UnknownServiceError, match="brief, careless, parent, sleeper, stubborn"):
        getattr(host.controller, verb)("slepper", *arguments)


def test_the_log_is_readable_while_the_host_is_away_and_the_verbs_say_that_it_is(host: Host) -> None:
    controller = host.controller
    with pytest.raises(StartFailedError):
        controller.start("brief", 5)
    assert controller.tail("brief", 5) == ("cannot find the moon",)
    host.go_away()
    assert controller.tail("brief", 5) == ("cannot find the moon",)
    with pytest.raises(UnknownServiceError):
        controller.tail("../log/brief", 5)
    for verb in ("start", "stop", "restart"):
        with pytest.raises(HostUnreachableError):
            getattr(controller, verb)("brief", 1)
    with pytest.raises(HostUnreachableError):
        controller.statuses()
