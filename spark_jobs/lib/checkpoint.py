"""What Spark's checkpoint folder says about the query, read without Spark."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class CheckpointState:
    """Identity of the query, and the newest batch that Spark knows to be finished (``None`` before the first)."""

    query_id: str
    newest_committed: int | None


def read_checkpoint(folder: Path) -> CheckpointState | None:
    """State of the checkpoint, or ``None`` when there is none.

    Raises ``ValueError`` when it is damaged (a power cut can leave empty files behind).
    """
    metadata = folder / "metadata"
    if not metadata.is_file():
        return None
    query_id = json.loads(metadata.read_text())["id"]
    batches = _batches(folder / "commits")
    for log, newest in (("commits", batches[-1:]), ("offsets", _batches(folder / "offsets")[-2:])):
        for batch in newest:
            _check_log_file(folder / log / str(batch))
    return CheckpointState(query_id, batches[-1] if batches else None)


def read_query_id(folder: Path) -> str:
    """Identity of the query of a checkpoint that Spark has opened."""
    query_id: str = json.loads((folder / "metadata").read_text())["id"]
    return query_id


def discard_checkpoint(folder: Path) -> Path | None:
    """Move the checkpoint aside (replacing what was moved before) and return where it is now, if there was one."""
    if not folder.exists():
        return None
    aside = folder.with_name(f"{folder.name}.discarded")
    shutil.rmtree(aside, ignore_errors=True)
    folder.rename(aside)
    return aside


def _batches(folder: Path) -> list[int]:
    return sorted(int(file.name) for file in folder.iterdir() if file.name.isdigit()) if folder.is_dir() else []


def _check_log_file(path: Path) -> None:
    lines = path.read_text().splitlines()
    if not lines or not lines[0].startswith("v"):
        raise ValueError(f"{path.name} in {path.parent.name} of the checkpoint holds no version")
    for line in lines[1:]:
        if line != "-":
            json.loads(line)
