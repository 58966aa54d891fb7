"""Evidence on disk: what was collected for an incident, and whether it is still what it was."""

from __future__ import annotations

from include.review.evidence import Manifest
from include.settings import Settings


def read_manifest(settings: Settings, incident_id: str, number: int) -> Manifest:
    """One collection. Raises :class:`ReviewError` if there is none."""
    raise NotImplementedError


def manifests(settings: Settings, incident_id: str) -> tuple[Manifest, ...]:
    """All finished collections of an incident, oldest first."""
    raise NotImplementedError


def verify(settings: Settings, manifest: Manifest) -> tuple[str, ...]:
    """Names of the blocks whose file is missing or changed; ``manifest`` if its own file is."""
    raise NotImplementedError
