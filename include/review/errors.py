"""Errors of this room."""

from __future__ import annotations


class ReviewError(Exception):
    """A review could not be made or changed; the text says what is allowed."""
