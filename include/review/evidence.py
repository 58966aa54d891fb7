"""What evidence is: typed blocks under ``data/evidence/<incident>/<number>/``, with a manifest and their sha256."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class BlockKind(StrEnum):
    """What a block holds."""

    LOG = "log"  # end of a process log, with error classes
    PROCESS = "process"  # state of processes, who holds which port
    PROBE = "probe"  # newest result of a probe
    OFFSETS = "offsets"  # end and committed offset of every partition
    SPARK_PROGRESS = "spark_progress"
    MYSQL_STATUS = "mysql_status"  # status and process list
    EXCHANGE = "exchange"  # reachability, from each endpoint
    HOST = "host"  # disk, memory, load
    CODE = "code"  # git commit
    SETTINGS = "settings"  # secrets redacted


@dataclass(frozen=True, slots=True)
class BlockEntry:
    """A block in the manifest. ``available`` is false when the source did not answer; ``note`` then says why."""

    name: str
    kind: BlockKind
    file: str
    sha256: str
    bytes: int
    collected_at: datetime
    available: bool
    note: str = ""
    highlights: tuple[str, ...] = ()  # the few lines that matter, for a summary


@dataclass(frozen=True, slots=True)
class Manifest:
    """One collection of evidence. ``folder`` is relative to the evidence folder; ``sha256`` is of the manifest file."""

    incident_id: str
    number: int
    folder: str
    began_at: datetime
    seconds: float
    blocks: tuple[BlockEntry, ...]
    sha256: str = ""
    facts: dict[str, Any] = field(default_factory=dict)
