"""What evidence is made from: sources that are read side by side, each with a deadline."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, TimeoutError, wait
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from include.health.probes.base import one_line
from include.review.evidence import BlockKind


@dataclass(frozen=True, slots=True)
class Found:
    """What a source gave, not redacted yet. ``content``: JSON values, or text (of a log). ``note`` says what is
    missing, or why nothing is ``available``. ``facts``: a few figures for the manifest.
    """

    content: Any
    available: bool = True
    note: str = ""
    highlights: tuple[str, ...] = ()
    facts: dict[str, Any] = field(default_factory=dict)


def missing(note: str, content: Any = None) -> Found:
    """The source did not answer. ``content``: what is known all the same."""
    return Found({"not_available": note} if content is None else content, False, note)


@dataclass(frozen=True, slots=True)
class Source:
    """One block to be. ``read`` is called in a thread of its own; what it raises makes the block "not available"."""

    name: str
    kind: BlockKind
    read: Callable[[], Found]


@dataclass(frozen=True, slots=True)
class Gathered:
    """A source with what it gave, and when."""

    source: Source
    found: Found
    at: datetime


def gather(sources: Iterable[Source], deadline: float) -> tuple[Gathered, ...]:
    """Read all at once; whatever has not answered after ``deadline`` seconds is left behind, in a daemon thread.

    No pool: Python waits at its end for the threads of a pool, so that a source which hangs would keep the process
    from ending.
    """
    started = time.monotonic()
    futures = {source.name: (source, _begun(source)) for source in sources}
    wait([future for _, future in futures.values()], timeout=deadline - (time.monotonic() - started))
    return tuple(_result(source, future, deadline) for source, future in futures.values())


def _begun(source: Source) -> Future[Gathered]:
    future: Future[Gathered] = Future()

    def run() -> None:
        try:
            found = source.read()
        except Exception as error:  # whatever it is, evidence of the others counts
            found = missing(f"{type(error).__name__}: {one_line(error)}")
        future.set_result(Gathered(source, found, datetime.now(UTC)))

    threading.Thread(target=run, name=f"evidence-{source.name}", daemon=True).start()
    return future


def _result(source: Source, future: Future[Gathered], deadline: float) -> Gathered:
    try:
        return future.result(timeout=0)
    except TimeoutError:
        return Gathered(source, missing(f"no answer within {deadline:g} s"), datetime.now(UTC))
