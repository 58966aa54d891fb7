"""A folder that a process cannot use: moved aside and back on its own disk, never copied, never deleted."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

ASIDE = "aside"


def move_aside(folder: Path, now: datetime, word: str = ASIDE) -> Path | None:
    """Give the folder another name beside it, ``<name>.<word>-<UTC time>``; ``None`` if there is no such folder.

    Raises ``OSError``.
    """
    if not folder.exists():
        return None
    aside = folder.with_name(f"{folder.name}.{word}-{now:%Y%m%dT%H%M%SZ}")
    number = 1
    while aside.exists():
        number += 1
        aside = folder.with_name(f"{folder.name}.{word}-{now:%Y%m%dT%H%M%SZ}-{number}")
    folder.rename(aside)
    return aside


def move_back(aside: Path, folder: Path, now: datetime) -> Path | None:
    """Give it its name back; where the one is now that was made meanwhile, if there was one. Raises ``OSError``."""
    unused = move_aside(folder, now, "unused")
    aside.rename(folder)
    return unused
