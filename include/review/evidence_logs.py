"""Ends of process logs, with the class of each error in them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from include.health.probes.log_events import ErrorFinder
from include.review.evidence import BlockKind
from include.review.evidence_source import Found, Source, missing
from include.services.controller import KeepsLogs, ServiceController
from include.services.errors import ServicesError
from include.services.log_tail import tail_file
from include.settings import Settings

_MOST_HIGHLIGHTS = 5
_MOST_READ = 4_000_000  # so much of a log is read at most; its first line is then a part of one


def log_sources(
    settings: Settings, services: tuple[str, ...], lines: int, controller: ServiceController | None = None
) -> tuple[Source, ...]:
    """One for each log: of a file, or of a process host that keeps the logs itself."""
    host = controller if isinstance(controller, KeepsLogs) else None

    def read(name: str) -> Found:
        return read_log(settings.log_dir / f"{name}.log", lines) if host is None else ask_for_log(host, name, lines)

    return tuple(Source(f"log-{name}", BlockKind.LOG, lambda name=name: read(name)) for name in services)  # type: ignore[misc]


def read_log(path: Path, lines: int) -> Found:
    """The last ``lines`` lines, oldest first; the highlights are the newest errors, newest first."""
    if not path.exists():
        return missing(f"there is no {path.name}")
    return _found(tail_file(path, lines))


def ask_for_log(host: ServiceController, name: str, lines: int) -> Found:
    """As :func:`read_log`, by the process host's word."""
    try:
        return _found(host.tail(name, lines))
    except ServicesError as error:
        return missing(str(error))


def _found(tail: Sequence[str]) -> Found:
    if sum(map(len, tail)) >= _MOST_READ:
        tail = tail[1:]
    errors = ErrorFinder().feed(tail)
    counts = Counter(error.kind.value for error in errors)
    newest = [f"{error.kind}: {error.text}" for error in reversed(errors[-_MOST_HIGHLIGHTS:])]
    summary = ", ".join(f"{count} {kind}" for kind, count in counts.most_common())
    note = f"errors in these {len(tail)} lines: {summary or 'none'}"
    return Found("\n".join(tail), True, note, tuple(newest), {"errors": dict(counts)} if counts else {})
