"""What has to survive a restart of the exchange: the rate segments, and how far trades may have been seen.

``<stem>.jsonl`` is append-only: one line for each change of pace. A line cut short by a crash is dropped when the file
is opened again. ``<stem>.until`` holds one number, replaced atomically *before* trades up to that time become visible,
so a crash can never take back a trade that somebody has seen.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from include.market.standin.errors import JournalError


class Segment(msgspec.Struct, frozen=True):
    """From ``start_us`` on, each symbol trades at ``rates`` (trades a second) beginning with ``first_ids``."""

    start_us: int
    first_ids: dict[str, int]
    rates: dict[str, float]


class MemoryJournal:
    """A journal for exchanges that need not survive."""

    def __init__(self) -> None:
        self.segments: list[Segment] = []
        self.until_us = 0

    def append(self, segment: Segment) -> None:
        """Record a change of pace."""
        self.segments.append(segment)

    def extend(self, until_us: int) -> None:
        """Record that trades up to a time may have been seen."""
        self.until_us = until_us


class FileJournal(MemoryJournal):
    """A journal in a folder, which is created if needed.

    Raises :class:`JournalError` for a damaged line other than a last one without its line end.
    """

    def __init__(self, folder: Path, stem: str) -> None:
        super().__init__()
        folder.mkdir(parents=True, exist_ok=True)
        self._path, self._until_path = folder / f"{stem}.jsonl", folder / f"{stem}.until"
        self._load()

    def append(self, segment: Segment) -> None:
        """See :class:`MemoryJournal`."""
        with self._path.open("ab") as file:
            file.write(msgspec.json.encode(segment) + b"\n")
        super().append(segment)

    def extend(self, until_us: int) -> None:
        """See :class:`MemoryJournal`."""
        draft = self._until_path.with_suffix(".draft")
        draft.write_text(str(until_us))
        draft.replace(self._until_path)
        super().extend(until_us)

    def _load(self) -> None:
        if not self._path.exists():
            return
        content = self._path.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        if len(whole) < len(content):
            with self._path.open("r+b") as file:
                file.truncate(len(whole))
        for number, line in enumerate(whole.splitlines(), 1):
            try:
                self.segments.append(msgspec.json.decode(line, type=Segment))
            except msgspec.DecodeError as error:
                raise JournalError(self._path, number, f"not a rate segment ({error})") from error
        if self._until_path.exists():
            try:
                self.until_us = int(self._until_path.read_text())
            except ValueError as error:
                raise JournalError(self._until_path, 1, "not a time in microseconds") from error
