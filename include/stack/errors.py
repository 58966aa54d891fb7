"""Errors of the stack room. Each text is meant for the person who typed the command."""

from __future__ import annotations


class StackError(Exception):
    """The local stack cannot do what was asked; the text says what to do."""


class JavaNotFoundError(StackError):
    """No usable Java."""


class ArtifactError(StackError):
    """An artifact could not be fetched, or is not the one expected."""


class PortInUseError(StackError):
    """Ports that the stack needs are held by others."""


class FeedMismatchError(StackError):
    """The run-time folder holds the data of another feed."""


class StartError(StackError):
    """A process did not come up, or did not go down."""
