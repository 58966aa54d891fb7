"""What every process host promises, told once and asked of each: the fake, a real supervisord, Docker's engine (a
stand-in and a real one), a real systemd.

What runs is counted on this machine, where processes in containers are seen, too, by the path of their program.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from include.services.controller import KeepsLogs, ServiceController, ServiceOutcome, ServiceState
from include.services.docker import DockerController
from include.services.errors import HostUnreachableError, StartFailedError, UnknownServiceError
from include.services.fake import FakeServiceController
from include.services.processes import identify, wait_exit
from tests.support.docker_engine import PROJECT, StandInEngine, real_containers
from tests.support.supervisord import Supervisord, write_scripts
from tests.support.systemd import controller_of, stop_answering, systemd_in_container
from tests.support.waiting import wait_for

_CHILD = "[sys.executable, '-c', 'import time; time.sleep(600)', __file__]"  # the path: to find it by
PROGRAMS = {
    "sleeper": "import time; print('asleep', flush=True); time.sleep(600)",
    "stubborn": "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('no', flush=True)\n"
    f"import subprocess, sys; subprocess.Popen({_CHILD}); time.sleep(600)",
    "careless": "import signal, subprocess, sys, time\n"
    "child = 'import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)'\n"
    "subprocess.Popen([sys.executable, '-c', child, __file__]); time.sleep(600)",
    "parent": f"import subprocess, sys, time\nsubprocess.Popen({_CHILD})\ntime.sleep(0.05); raise SystemExit(4)",
    "brief": "print('cannot find the moon', flush=True); raise SystemExit(3)",
}


@dataclass
class Host:
    """A controller and a way to make its host go away.

    ``besides``: processes that the host adds to each service (a container's init). ``ends_as_one``: the end of the
    first process is that of all. ``late``: the host learns of an end a moment after it. ``takes_logs``: when it is
    away, so are the logs.
    """

    controller: ServiceController
    folder: Path
    go_away: Callable[[], None]
    besides: int = 0
    ends_as_one: bool = False
    late: bool = False
    takes_logs: bool = False

    def processes(self, name: str) -> list[int]:
        """Pids of this machine."""
        return [each.pid for each in psutil.process_iter() if self._runs(each, f"{self.folder}/{name}.py")]

    def kill(self, name: str) -> None:
        """SIGKILL to all of them, and wait until they are gone."""
        killed = [process for process in map(identify, self.processes(name)) if process]
        for process in killed:
            with suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
        assert all(wait_exit(process, 10) for process in killed)  # its command line vanishes a moment before its end

    @staticmethod
    def _runs(process: psutil.Process, path: str) -> bool:
        with suppress(psutil.Error):
            return path in process.cmdline() and process.status() != psutil.STATUS_ZOMBIE
        return False


def _fake(folder: Path) -> Iterator[Host]:
    controller = FakeServiceController(write_scripts(PROGRAMS, folder), folder / "log", settle_seconds=0.5)
    yield Host(controller, folder, lambda: setattr(controller, "unreachable", True))
    controller.close()


def _supervisord(folder: Path) -> Iterator[Host]:
    host = Supervisord(PROGRAMS, folder)
    yield Host(host.controller, folder, host.kill)
    host.close()


def _docker_stand_in(folder: Path) -> Iterator[Host]:
    engine = StandInEngine(write_scripts(PROGRAMS, folder), folder)
    controller = DockerController(engine.url, PROJECT, folder / "run", settle_seconds=0.4)
    yield Host(controller, folder, engine.go_away, ends_as_one=True, late=True, takes_logs=True)
    engine.close()


def _docker(folder: Path) -> Iterator[Host]:
    project = f"pipeline-tests-{os.getpid()}-{folder.name}"
    with real_containers(write_scripts(PROGRAMS, folder), folder, project) as url:
        controller = DockerController(url, project, folder / "run", settle_seconds=2)
        go_away = (folder / "engine.sock").unlink
        yield Host(controller, folder, go_away, besides=1, ends_as_one=True, late=True, takes_logs=True)


def _systemd(folder: Path) -> Iterator[Host]:
    with systemd_in_container(write_scripts(PROGRAMS, folder), folder) as name:
        yield Host(controller_of(name, PROGRAMS, folder), folder, lambda: stop_answering(name), late=True)


HOSTS = [
    pytest.param(_fake, id="fake"),
    pytest.param(_docker_stand_in, id="docker-stand-in"),
    pytest.param(_supervisord, id="supervisord", marks=pytest.mark.integration),
    pytest.param(_docker, id="docker", marks=pytest.mark.engine),
    pytest.param(_systemd, id="systemd", marks=pytest.mark.engine),
]


KEEPERS = [each for each in HOSTS if each.id in ("docker-stand-in", "docker", "systemd")]


@pytest.fixture(params=HOSTS)
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
    assert host.processes("sleeper") == []
    assert controller.status("sleeper").stopped_on_request
    assert controller.status("sleeper").pid is None
    assert controller.stop("sleeper", 5) is ServiceOutcome.ALREADY_STOPPED


def test_a_program_that_ignores_sigterm_is_killed_with_its_children_and_that_is_reported(host: Host) -> None:
    controller = host.controller
    controller.start("stubborn", 5)
    wait_for(lambda: len(host.processes("stubborn")) == 2 + host.besides, 10)
    begin = time.monotonic()
    assert controller.stop("stubborn", 0.3) is ServiceOutcome.KILLED
    assert time.monotonic() - begin < 5
    assert host.processes("stubborn") == []
    assert controller.status("stubborn").state is ServiceState.STOPPED
    assert controller.status("stubborn").stopped_on_request


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
    wait_for(lambda: len(host.processes("careless")) == 2 + host.besides, 10)
    stopped = controller.stop("careless", 0.3)
    assert stopped is (ServiceOutcome.STOPPED if host.ends_as_one else ServiceOutcome.KILLED)
    assert host.processes("careless") == []


def test_a_failed_start_leaves_no_children_behind(host: Host) -> None:
    with pytest.raises(StartFailedError) as caught:
        host.controller.start("parent", 5)
    assert caught.value.exit_code == 4
    wait_for(lambda: not host.processes("parent"), 1)


def test_a_killed_program_can_be_started_as_soon_as_its_host_may_know_of_it(host: Host) -> None:
    controller = host.controller
    controller.start("sleeper", 5)
    for _ in range(5):
        old = controller.status("sleeper")
        host.kill("sleeper")
        if host.late:
            wait_for(lambda: controller.status("sleeper").pid is None, 2)
        assert controller.status("sleeper").pid is None
        assert controller.start("sleeper", 5) is ServiceOutcome.STARTED
        new = controller.status("sleeper")
        assert (new.pid, new.started_at) != (old.pid, old.started_at)


def test_an_end_by_signal_has_a_negative_exit_code(host: Host) -> None:
    controller = host.controller
    controller.start("sleeper", 5)
    host.kill("sleeper")
    wait_for(lambda: controller.status("sleeper").exit_code is not None, 10)
    status = controller.status("sleeper")
    assert (status.state, status.pid) == (ServiceState.EXITED, None)
    assert status.exit_code is not None
    assert status.exit_code < 0  # supervisord does not tell which signal it was
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
    old, before_it = controller.status("sleeper"), host.processes("sleeper")
    assert controller.restart("sleeper", 5) is outcome
    new = controller.status("sleeper")
    assert new.pid
    assert (new.pid, new.started_at) != (old.pid, old.started_at)
    assert not set(before_it) & set(host.processes("sleeper"))


def test_restart_reports_force(host: Host) -> None:
    host.controller.start("stubborn", 5)
    wait_for(lambda: host.controller.tail("stubborn", 1) == ("no",), 10, "it ignores SIGTERM by now")
    assert host.controller.restart("stubborn", 0.2) is ServiceOutcome.RESTARTED_AFTER_KILL


def test_all_services_are_listed_by_name(host: Host) -> None:
    assert [s.name for s in host.controller.statuses()] == sorted(PROGRAMS)


@pytest.mark.parametrize("verb", ["status", "start", "stop", "restart", "tail"])
def test_an_unknown_name_is_refused_with_the_known_ones(host: Host, verb: str) -> None:
    arguments = {"status": (), "tail": (5,)}.get(verb, (5,))
    with pytest.raises(UnknownServiceError, match="brief, careless, parent, sleeper, stubborn"):
        getattr(host.controller, verb)("slepper", *arguments)


def test_while_the_host_is_away_the_verbs_say_so_and_logs_beside_it_stay_readable(host: Host) -> None:
    controller = host.controller
    with pytest.raises(StartFailedError):
        controller.start("brief", 5)
    assert controller.tail("brief", 5) == ("cannot find the moon",)
    host.go_away()
    if host.takes_logs:
        with pytest.raises(HostUnreachableError):
            controller.tail("brief", 5)
    else:
        assert controller.tail("brief", 5) == ("cannot find the moon",)
        with pytest.raises(UnknownServiceError):
            controller.tail("../log/brief", 5)
    for verb in ("start", "stop", "restart"):
        with pytest.raises(HostUnreachableError):
            getattr(controller, verb)("brief", 1)
    with pytest.raises(HostUnreachableError):
        controller.statuses()


@pytest.mark.parametrize("host", KEEPERS, indirect=True)
def test_a_host_that_keeps_the_logs_gives_new_lines_and_those_of_the_last_run(host: Host) -> None:
    controller = host.controller
    assert isinstance(controller, KeepsLogs)
    none, mark = controller.log_since("brief", "", 10)
    assert none == ()
    for _ in range(2):
        with pytest.raises(StartFailedError):
            controller.start("brief", 5)
    assert controller.run_log("brief", 10) == ("cannot find the moon",)
    lines, newer = controller.log_since("brief", mark, 10)
    assert lines == ("cannot find the moon",) * 2
    assert controller.log_since("brief", newer, 10) == ((), newer)
    assert controller.log_since("brief", "", 10) == ((), newer)
    assert controller.log_since("brief", mark, 1)[0] == ("cannot find the moon",)
