"""Names of incidents: ``INC-2026-0001``, counted anew each year (of the opening, in UTC)."""

from __future__ import annotations

import re

_FORM = re.compile(r"INC-(\d{4})-(\d{4,})")


def incident_id(year: int, number: int) -> str:
    """The name of the ``number``-th incident of a year. The tenth thousand simply gets longer."""
    return f"INC-{year:04d}-{number:04d}"


def parse_incident_id(text: str) -> tuple[int, int] | None:
    """Year and number, or ``None`` when it is not the name of an incident."""
    match = _FORM.fullmatch(text)
    return (int(match[1]), int(match[2])) if match else None
