"""Errors of this room."""

from __future__ import annotations


class GuardrailError(Exception):
    """A command that makes no sense; the text says what was received and what is allowed."""


class UnknownActionError(GuardrailError):
    """There is no action with this number."""
