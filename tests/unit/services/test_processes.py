"""Processes by identity, log tails, and the command line."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from include.runtime.single_instance import hold_single_instance
from include.services import __main__ as command_line
from include.services.controller import ServiceStatus
from include.services.errors import ServiceTimeoutError
from include.services.factory import controller_from_settings
from include.services.fake import FakeServiceController
from include.services.log_tail import tail_file
from include.services.processes import (
    ProcessIdentity,
    group_members,
    identify,
    is_alive,
    kill_group,
    kill_remains,
    lock_holder,
    terminate,
    until_exit,
    wait_exit,
)
from include.services.supervisord import SupervisordController
from include.settings import load_settings


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(["/bin/sleep", "60"], start_new_session=True)
    yield process
    process.kill()
    process.wait()


def test_a_pid_that_was_given_to_another_process_is_not_the_same_process(sleeper: subprocess.Popen[bytes]) -> None:
    real = identify(sleeper.pid)
    assert real
    earlier = ProcessIdentity(real.pid, real.start_ticks - 1)
    assert is_alive(real)
    assert not is_alive(earlier)
    assert wait_exit(earlier, 0), "it has ended long ago"
    assert not terminate(earlier, 0.05)
    assert not kill_remains(earlier)
    assert is_alive(real), "a signal for the earlier one must not hit this one"
    assert kill_remains(real)


def test_a_zombie_counts_as_ended(sleeper: subprocess.Popen[bytes]) -> None:
    process = identify(sleeper.pid)
    assert process
    sleeper.kill()
    assert wait_exit(process, 5)
    assert Path(f"/proc/{sleeper.pid}").exists(), "not collected by its parent yet"
    assert identify(sleeper.pid) is None
    assert group_members(sleeper.pid) == ()
    assert not kill_group(sleeper.pid)


@pytest.mark.parametrize("pid", [None, 0, 2**22 + 1])
def test_there_is_no_such_process(pid: int | None) -> None:
    assert identify(pid) is None


def test_waiting_has_a_deadline(sleeper: subprocess.Popen[bytes]) -> None:
    process = identify(sleeper.pid)
    assert process
    begin = time.monotonic()
    assert not wait_exit(process, 0.05)
    assert 0.04 < time.monotonic() - begin < 1


async def test_an_end_is_noticed_at_once_without_blocking_the_loop(sleeper: subprocess.Popen[bytes]) -> None:
    process = identify(sleeper.pid)
    assert process
    waiting = asyncio.create_task(until_exit(process))
    await asyncio.sleep(0.02)
    assert not waiting.done()
    begin = time.monotonic()
    os.kill(process.pid, signal.SIGKILL)
    await asyncio.wait_for(waiting, 5)
    assert time.monotonic() - begin < 0.2
    await until_exit(process)  # returns at once for one that has ended


def test_the_holder_of_a_lock_is_found_only_while_it_holds_it(tmp_path: Path) -> None:
    assert lock_holder("worker", tmp_path) is None
    (tmp_path / "worker.lock").write_text(f"{os.getpid()}\n")
    assert lock_holder("worker", tmp_path) is None, "a file that names us is not a lock that we hold"
    descriptor = hold_single_instance("worker", tmp_path)
    assert lock_holder("worker", tmp_path) == os.getpid()
    os.close(descriptor)
    assert lock_holder("worker", tmp_path) is None
    (tmp_path / "worker.lock").write_text("rubbish")
    assert lock_holder("worker", tmp_path) is None


@pytest.mark.parametrize(
    ("current", "rotated", "lines", "expected"),
    [
        ("a\nb\nc\n", None, 2, ("b", "c")),
        ("a\nb\nc", None, 2, ("b", "c")),  # the last line is still being written
        ("a\n", None, 5, ("a",)),
        ("", None, 5, ()),
        (None, None, 5, ()),
        ("c\n", "a\nb\n", 2, ("b", "c")),  # right after a rotation
        ("c\n", "a\nb\n", 1, ("c",)),
        ("a\n\nb\n", None, 2, ("", "b")),
        ("x" * 70_000 + "\nlast\n", None, 1, ("last",)),  # longer than a block
        ("a\n", None, 0, ()),
    ],
)
def test_the_end_of_a_log(
    tmp_path: Path, current: str | None, rotated: str | None, lines: int, expected: tuple[str, ...]
) -> None:
    for text, name in ((current, "worker.log"), (rotated, "worker.log.1")):
        if text is not None:
            (tmp_path / name).write_text(text)
    assert tail_file(tmp_path / "worker.log", lines) == expected


def test_bytes_that_are_no_text_do_not_hide_the_rest(tmp_path: Path) -> None:
    (tmp_path / "worker.log").write_bytes(b"\xff\xfe broken\nfine\n")
    assert tail_file(tmp_path / "worker.log", 2)[1] == "fine"


def test_many_long_lines_are_bounded_in_memory(tmp_path: Path) -> None:
    (tmp_path / "worker.log").write_bytes(b"x" * 9_000_000)
    assert len("".join(tail_file(tmp_path / "worker.log", 10))) < 5_000_000


def test_the_settings_choose_the_adapter(tmp_path: Path) -> None:
    assert isinstance(controller_from_settings(load_settings(home=tmp_path)), SupervisordController)


@pytest.fixture
def by_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeServiceController]:
    controller = FakeServiceController({"worker": ["sleep", "60"]}, tmp_path, settle_seconds=0.05)
    monkeypatch.setattr(command_line, "controller_from_settings", lambda settings: controller)
    monkeypatch.setattr(command_line, "get_settings", lambda: None)
    yield controller
    controller.close()


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        ("status", 0, "worker"),
        ("start worker", 0, "worker: started"),
        ("stop worker", 0, "worker: already_stopped"),
        ("status wroker", 1, "no service is called 'wroker'; there are: worker"),
        ("tail worker", 0, ""),
    ],
)
def test_by_hand(
    by_hand: FakeServiceController, capsys: pytest.CaptureFixture[str], line: str, code: int, said: str
) -> None:
    assert command_line.main(line.split()) == code
    output = capsys.readouterr()
    assert said in (output.err if code else output.out)


def test_a_status_says_whether_somebody_wanted_the_stop(by_hand: FakeServiceController) -> None:
    assert not by_hand.status("worker").stopped_on_request, "never started"
    by_hand.start("worker", 5)
    by_hand.stop("worker", 5)
    status: ServiceStatus = by_hand.status("worker")
    assert status.stopped_on_request


def test_errors_speak_to_people() -> None:
    assert str(ServiceTimeoutError("worker", "stop", 5, "running")) == "stop worker: not done after 5 s; it is running"
