"""The end of a process log, read from the file itself, so that it works while the process host is away."""

from __future__ import annotations

import os
from pathlib import Path

_BLOCK = 65_536
_MOST_BYTES = 4 * 1024 * 1024  # a log of endless lines must not fill the memory


def tail_file(path: Path, lines: int) -> tuple[str, ...]:
    """The last ``lines`` lines of ``path``, oldest first, going on into ``<path>.1`` right after a rotation.

    Bytes that are not UTF-8 are replaced; a file that does not exist is empty.
    """
    found = _last_lines(path, lines)
    if len(found) < lines:
        found = _last_lines(path.with_name(path.name + ".1"), lines - len(found)) + found
    return tuple(found)


def _last_lines(path: Path, lines: int) -> list[str]:
    if lines <= 0:
        return []
    try:
        with path.open("rb") as file:
            position, data = file.seek(0, os.SEEK_END), b""
            while position > 0 and data.count(b"\n") <= lines and len(data) < _MOST_BYTES:
                step = min(_BLOCK, position)
                position -= step
                file.seek(position)
                data = file.read(step) + data
    except FileNotFoundError:
        return []
    return data.decode("utf-8", "replace").splitlines()[-lines:]
