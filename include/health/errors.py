"""Errors of the health room. A target that fails is an observation, never an error."""

from __future__ import annotations


class HealthError(Exception):
    """Base of this room's errors."""


class ProberInUseError(HealthError):
    """Somebody follows this prober already, or it is closed."""
