"""``make logs``: the log of one process, followed across rotation."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TextIO

from include.services.log_tail import tail_file
from include.settings import Settings
from include.stack.console import console
from include.stack.errors import StackError

_POLL_SECONDS = 0.25


def show(settings: Settings, name: str, lines: int, follow: bool) -> None:
    """Print the last ``lines`` lines and, if ``follow``, what comes after, until interrupted.

    Raises :class:`StackError` naming the logs there are when there is none of that name.
    """
    path = settings.log_dir / f"{name}.log"
    if path.parent != settings.log_dir or not path.is_file():
        known = ", ".join(sorted(p.stem for p in settings.log_dir.glob("*.log"))) or "none yet (make up makes them)"
        asked = name or "(no name given)"
        raise StackError(f"There is no log called {asked}. Logs: {known}. Example: make logs NAME=kafka")
    with path.open(errors="replace") as file:
        file.seek(0, 2)
        for line in tail_file(path, lines):
            _print(line)
        if follow:
            _follow(path, file)


def _follow(path: Path, file: TextIO) -> None:
    while True:
        if line := file.readline():
            _print(line.rstrip("\n"))
        elif _was_rotated(path, file):
            file.close()
            file = path.open(errors="replace")
        else:
            time.sleep(_POLL_SECONDS)


def _was_rotated(path: Path, file: TextIO) -> bool:
    try:
        return not os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:  # between rename and creation
        return False


def _print(line: str) -> None:
    console.print(line, markup=False, highlight=False, soft_wrap=True)
