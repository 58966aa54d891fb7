"""Errors of the producer room."""

from __future__ import annotations

from datetime import UTC, datetime


class TailUnsettledError(Exception):
    """The end of the topic kept moving while no producer of ours was writing: a second producer is at work."""

    def __init__(self, topic: str) -> None:
        super().__init__(f"the end of {topic} keeps moving although this process is not writing; is a second one?")


class TailUnreadableError(Exception):
    """The broker says that records exist but does not give them."""

    def __init__(self, topic: str, partition: int, offset: int) -> None:
        super().__init__(f"no records of {topic}-{partition} from offset {offset} on arrived in time")


class LastError:
    """The newest error of the process, whichever part it came from; for ``/health``."""

    def __init__(self) -> None:
        self._text: str | None = None

    def note(self, part: str, error: object) -> None:
        """Keep an error, with the time and the part it happened in."""
        self._text = f"{datetime.now(UTC).isoformat(timespec='seconds')} {part}: {error}"

    @property
    def text(self) -> str | None:
        """``<time> <part>: <error>``; None when there was none."""
        return self._text
