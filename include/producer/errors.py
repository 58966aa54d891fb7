"""Errors of the producer room."""

from __future__ import annotations


class TailUnsettledError(Exception):
    """The end of the topic kept moving while no producer of ours was writing: a second producer is at work."""

    def __init__(self, topic: str) -> None:
        super().__init__(f"the end of {topic} keeps moving although this process is not writing; is a second one?")


class TailUnreadableError(Exception):
    """The broker says that records exist but does not give them."""

    def __init__(self, topic: str, partition: int, offset: int) -> None:
        super().__init__(f"no records of {topic}-{partition} from offset {offset} on arrived in time")
