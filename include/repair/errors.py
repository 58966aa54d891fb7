"""Errors of this room."""

from __future__ import annotations


class RepairError(Exception):
    """A repair could not be done; the text says what is missing, what was received and what to do."""
