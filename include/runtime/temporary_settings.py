"""Settings that a remedy changes for a time: a file beside the running processes, read when a process starts.

The file survives crashes of everything; whoever starts a process (:mod:`include.stack.launch`) applies it. Each change
says who made it, for which incident and why, and is put back by the same remedy.
"""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from include.runtime.files import write_whole

FILE_NAME = "temporary_settings.json"


@dataclass(frozen=True, slots=True)
class TemporarySetting:
    """``name``: a field of :class:`include.settings.Settings`; ``value``: as in its environment variable; ``before``:
    what it replaced, for people. ``since``: ISO 8601, UTC.
    """

    name: str
    value: str
    before: str
    incident_id: str
    by: str
    because: str
    since: str


class TemporarySettings:
    """All that are in force under ``run_dir``. Safe for several processes; every change is whole on disk, or not."""

    def __init__(self, run_dir: Path) -> None:
        self._file = run_dir / FILE_NAME

    def all(self) -> tuple[TemporarySetting, ...]:
        """By name."""
        try:
            rows = json.loads(self._file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return ()
        return tuple(TemporarySetting(**row) for row in rows)

    def get(self, name: str) -> TemporarySetting | None:
        """The one in force for a setting."""
        return next((each for each in self.all() if each.name == name), None)

    def put(self, setting: TemporarySetting) -> None:
        """Put it in force, in the place of an earlier one for the same setting."""
        with self._locked():
            others = [each for each in self.all() if each.name != setting.name]
            self._write([*others, setting])

    def remove(self, name: str) -> TemporarySetting | None:
        """Put the setting back; what was in force, ``None`` if nothing was."""
        with self._locked():
            found = self.get(name)
            if found is not None:
                self._write([each for each in self.all() if each.name != name])
            return found

    def environment(self) -> dict[str, str]:
        """As environment variables of a process."""
        return {f"PIPELINE_{each.name.upper()}": each.value for each in self.all()}

    def _write(self, settings: list[TemporarySetting]) -> None:
        rows = [asdict(each) for each in sorted(settings, key=lambda each: each.name)]
        write_whole(self._file, json.dumps(rows, indent=1) + "\n")

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with self._file.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
