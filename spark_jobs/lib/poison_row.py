"""A record because of which a batch cannot be counted, with its raw value."""

from __future__ import annotations

from dataclasses import dataclass

from include.runtime.processor_notes import Culprit


@dataclass(frozen=True)
class PoisonRow:
    """``value``: as in the topic."""

    culprit: Culprit
    value: bytes | None
