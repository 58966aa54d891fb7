"""What supervision says, to whom, and how often."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Protocol


class Log(Protocol):
    """What is needed of a logger."""

    def info(self, message: str) -> Any: ...

    def warning(self, message: str) -> Any: ...


class Deed(StrEnum):
    """What supervision did."""

    STARTED = "started"
    RESTARTED = "restarted"
    WAITED = "waited"  # for a remedy, which has the process in its hands
    GAVE_UP = "gave_up"


class SupervisionNews(Protocol):
    """Where supervision tells what it does."""

    def tell(self, service: str, deed: Deed, text: str, data: dict[str, Any]) -> None:
        """Returns at once, raises nothing. ``data``: JSON values, no secrets."""
        ...

    def close(self) -> None:
        """No more news; what is not told yet may be lost."""
        ...


class NoNews:
    """Nobody listens."""

    def tell(self, service: str, deed: Deed, text: str, data: dict[str, Any]) -> None:
        """See :class:`SupervisionNews`."""

    def close(self) -> None:
        """See :class:`SupervisionNews`."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How often and how long, in seconds; tests go quicker."""

    report: float = 60.0  # between two status lines
    look: float = 1.0  # between two looks at what may have changed while nothing runs
    ask_switch: float = 5.0  # between two questions about the Dag's switch
    retry_host: float = 0.2  # between two tries to reach the process host
    start: float = 30.0  # deadline of a start
    stop: float = 20.0  # SIGTERM to SIGKILL


@dataclass(frozen=True, slots=True)
class GaveUp:
    """The restart budget is exhausted. ``next_try_ms`` is when the next run will try once more."""

    service: str
    starts: int
    exit_code: int | None
    log_lines: tuple[str, ...]
    next_try_ms: int
    window_seconds: float

    @property
    def message(self) -> str:
        """What happened, what was seen, what happens next; for a person woken by it."""
        count = "It was tried once more and" if self.starts == 1 else f"It was started {self.starts} times and"
        return (
            f"{self.service} does not stay up. {count} ended each time within {self.window_seconds:g} s, "
            f"last with exit code {'unknown' if self.exit_code is None else self.exit_code}. "
            f"It is down now. The next run tries once more at {utc(self.next_try_ms)}. "
            "Its log ended with:\n" + ("\n".join(f"  {line}" for line in self.log_lines) or "  (nothing)")
        )


def utc(time_ms: int) -> str:
    """A time of day for people, ``12:00:01 UTC``."""
    return f"{datetime.fromtimestamp(time_ms / 1000, UTC):%H:%M:%S} UTC"
