"""Errors of this room."""

from __future__ import annotations


class RungError(Exception):
    """A rung could not do its work; the text is for the person who takes over."""
