"""Errors of the stream processor."""

from __future__ import annotations


class StreamError(Exception):
    """The stream processor cannot go on. The text is meant for a person."""


class StopRequestedError(StreamError):
    """The process is stopping; the batch is given up before anything of it is written."""


class DeadLettersError(StreamError):
    """Dead letters were not acknowledged by Kafka in time; the batch must be tried again."""
