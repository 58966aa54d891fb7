"""What was added to a log since the last time, within a bound: to a file, across rotation, or at the process host."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

from include.services.controller import KeepsLogs
from include.services.errors import UnknownServiceError

MOST_BYTES = 256 * 1024
MOST_LINES = 1_000  # of a log that its host keeps, at one look


class LogTail:
    """Begins at the end of the file as it is when first looked at; a file that comes later is read from its start.

    At most the newest :data:`MOST_BYTES` of what was added are read, so a flood of lines costs no more than that.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._first = True
        self._inode: int | None = None
        self._offset = 0

    def new_lines(self) -> list[str]:
        """Whole lines added since the last call; bytes that are not UTF-8 are replaced. Raises ``OSError``."""
        first, self._first = self._first, False
        try:
            with self._path.open("rb") as file:
                status = os.fstat(file.fileno())
                if first:
                    self._inode, self._offset = status.st_ino, status.st_size
                    return []
                lines = self._rest_of_rotated() if status.st_ino != self._inode else []
                if status.st_ino != self._inode or status.st_size < self._offset:  # another file, or it was emptied
                    self._inode, self._offset = status.st_ino, 0
                return lines + self._read(file, status.st_size)
        except FileNotFoundError:  # not made yet, or between rename and creation
            return []

    def _rest_of_rotated(self) -> list[str]:
        """What was added to the file we read before it was renamed."""
        if self._inode is None:
            return []
        try:
            with self._path.with_name(f"{self._path.name}.1").open("rb") as file:
                status = os.fstat(file.fileno())
                return self._read(file, status.st_size) if status.st_ino == self._inode else []
        except FileNotFoundError:
            return []

    def _read(self, file: BinaryIO, size: int) -> list[str]:
        skipped = max(0, size - self._offset - MOST_BYTES)
        file.seek(self._offset + skipped)
        data = file.read(size - self._offset - skipped)
        whole, newline, _ = data.rpartition(b"\n")
        if not newline and len(data) < MOST_BYTES:
            return []  # a line that is still being written
        self._offset += skipped + (len(whole) + 1 if newline else len(data))
        lines = (whole if newline else data).decode("utf-8", "replace").splitlines()
        return lines[1:] if skipped else lines


class HostedLogTail:
    """Asks the process host, which keeps the log. A service that it does not have says nothing."""

    def __init__(self, host: KeepsLogs, service: str) -> None:
        self._host, self._service, self._mark = host, service, ""

    def new_lines(self) -> list[str]:
        """See :class:`LogTail`; at most :data:`MOST_LINES`. Raises ``HostUnreachableError``."""
        try:
            lines, self._mark = self._host.log_since(self._service, self._mark, MOST_LINES)
        except UnknownServiceError:
            return []
        return list(lines)
