"""Calls that are not waited for longer than they may take."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest

from include.remediation.deadline import Call, DeadlineExceededError
from include.settings import PROJECT_ROOT


def test_what_it_returned_or_raised() -> None:
    assert Call(lambda: 7, "quick").result(5) == 7
    with pytest.raises(ZeroDivisionError):
        Call(lambda: 1 // 0, "wrong").result(5)


def test_afterwards_is_called_once_whenever_it_was_asked_for() -> None:
    gate, called = threading.Event(), list[str]()
    over = threading.Event()
    call = Call(lambda: gate.wait(10), "slow")
    with pytest.raises(DeadlineExceededError):
        call.result(0.01)
    call.when_over(lambda: (called.append("before"), over.set()))  # type: ignore[func-returns-value]
    gate.set()
    assert over.wait(5)
    call.when_over(lambda: called.append("behind"))
    assert called == ["before", "behind"]


def test_a_call_that_hangs_does_not_keep_the_process_alive() -> None:
    code = "import time; from include.remediation.deadline import Call; Call(lambda: time.sleep(60), 'slow')"
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT_ROOT, timeout=30, check=False)
    assert done.returncode == 0
