"""Errors of the playbook room. Each carries its facts as fields; the text is meant for whoever edits the data."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


class PlaybookError(Exception):
    """Base of this room's errors."""


@dataclass(frozen=True, slots=True)
class Flaw:
    """One thing that is wrong in a data file: ``key`` as a dotted path, what was ``received``, what is ``allowed``."""

    key: str
    received: str
    allowed: str


class PlaybookDataError(PlaybookError):
    """A data file of the playbook is not what it must be. Names every flaw, not only the first."""

    def __init__(self, file: Path, flaws: Iterable[Flaw]) -> None:
        self.file, self.flaws = file, tuple(flaws)
        lines = [f"  {f.key}: received {f.received}. Allowed: {f.allowed}" for f in self.flaws]
        super().__init__(f"The playbook's file {file} is wrong:\n" + "\n".join(lines))


class UnknownScenarioError(PlaybookError):
    """No such scenario."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        self.name, self.known = name, tuple(known)
        super().__init__(f"The playbook has no scenario {name!r}. It has: {', '.join(self.known)}.")
