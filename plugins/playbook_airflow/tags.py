"""The closed set of Dag tags (a test refuses any other)."""

from __future__ import annotations

from enum import StrEnum


class DagTag(StrEnum):
    """What a Dag is for."""

    PIPELINE = "pipeline"
    SUPERVISION = "supervision"
    HEALTH = "health"
    REMEDIATION = "remediation"
    INCIDENT = "incident"
    DRILL = "drill"
