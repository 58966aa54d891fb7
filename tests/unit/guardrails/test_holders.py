"""Who holds something, and whether they still live."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from include.guardrails.holders import alive, this_process
from include.settings import PROJECT_ROOT


def test_a_process_is_alive_until_it_ends_also_when_nobody_has_buried_it() -> None:
    code = "from include.guardrails.holders import this_process; print(this_process(), flush=True); input()"
    child = subprocess.Popen(
        [sys.executable, "-c", code], cwd=PROJECT_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdin is not None
    assert child.stdout is not None
    holder = child.stdout.readline().strip()
    assert alive(holder) is True
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and is a zombie
    assert alive(holder) is False
    child.wait()
    assert alive(holder) is False
    child.stdin.close()
    child.stdout.close()


def test_we_are_alive_and_somebody_else_with_our_pid_is_not_we() -> None:
    place, pid, ticks = this_process().rsplit(":", 2)
    assert alive(this_process()) is True
    assert alive(f"{place}:{pid}:{int(ticks) - 1}") is False


@pytest.mark.parametrize(
    "holder",
    [
        "elsewhere:0123abcd-4026531836:1:1",
        "",
        "ops",
        this_process().rpartition(":")[0],
        this_process() + "x",
        "x" + this_process(),
        this_process().replace("-", "-1", 1),
    ],
    ids=["elsewhere", "empty", "a word", "no start time", "no number", "other host", "a container with its own pids"],
)
def test_of_others_nothing_is_known(holder: str) -> None:
    assert alive(holder) is None
