"""Collects evidence before anything is touched."""

from __future__ import annotations

from include.incidents.model import Incident
from include.incidents.store import IncidentStore
from include.review.evidence import Manifest
from include.settings import Settings


def collect_evidence(
    settings: Settings, incident: Incident, number: int | None = None, *, store: IncidentStore | None = None
) -> Manifest:
    """Collect what the scenario's playbook names; within 4 s, whatever hangs; never raises for a missing source.

    ``number``: of the collection; one that exists is returned as it is. ``None``: the next free one.
    """
    raise NotImplementedError
