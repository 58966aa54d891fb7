"""Only processes of this very stack are ever ended."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from include.settings import load_settings
from include.stack.leftovers import MARK_HOME, MARK_PROCESS, end_leftovers, find_leftovers

_STUBBORN = "import signal,time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"


@contextmanager
def process(home: Path, name: str, code: str = "print('up', flush=True); import time; time.sleep(60)") -> Iterator[int]:
    marks = {**os.environ, MARK_HOME: str(home), MARK_PROCESS: name}
    with subprocess.Popen([sys.executable, "-c", code], env=marks, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        yield child.pid
        child.kill()


def test_leftovers_are_found_by_home_and_name_and_ended(tmp_path: Path) -> None:
    mine, other = load_settings(home=tmp_path / "mine"), tmp_path / "other"
    with process(mine.home, "kafka") as kafka, process(mine.home, "mysql") as mysql, process(other, "kafka") as foreign:
        assert {p.pid for p in find_leftovers(mine)} == {kafka, mysql}
        assert end_leftovers(mine, "kafka") == [kafka]
        assert {p.pid for p in find_leftovers(mine)} == {mysql}
        assert {p.pid for p in find_leftovers(load_settings(home=other))} == {foreign}


def test_one_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    settings = load_settings(home=tmp_path)
    with process(tmp_path, "kafka", _STUBBORN) as stubborn:
        assert end_leftovers(settings, grace=0.2) == [stubborn]
        assert find_leftovers(settings) == []
