"""What the tests found, for people: on the terminal and in var/test-results/compose.txt."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from include.settings import PROJECT_ROOT

_FILE = PROJECT_ROOT / "var" / "test-results" / "compose.txt"


class Report:
    """Lines in the order in which they became known."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, line: str) -> None:
        """One line more."""
        self.lines.append(line)

    @contextmanager
    def timed(self, what: str) -> Iterator[None]:
        """A line with how long it took, and how busy the machine was."""
        begin = time.monotonic()
        yield
        self.say(f"{what}: {time.monotonic() - begin:.1f} s (load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores)")

    def save(self) -> None:
        """Keep it for later."""
        _FILE.parent.mkdir(parents=True, exist_ok=True)
        _FILE.write_text("\n".join(self.lines) + "\n")
