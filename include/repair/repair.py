"""Repair of the tables for a time: find, fetch, publish, recompute, prove."""

from __future__ import annotations

from collections.abc import Callable

from include.repair.model import Comparison, IdGap, RepairReport, Span
from include.settings import Settings


class Repair:
    """Finds and repairs."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def find(self, span: Span) -> tuple[tuple[IdGap, ...], Comparison]:
        """What the tables lack, and how they compare with the exchange's ledger. Changes nothing."""
        raise NotImplementedError

    def run(
        self,
        span: Span,
        *,
        by: str,
        incident_id: str | None = None,
        progress: Callable[[str], None] = lambda text: None,
        recompute: bool = False,
    ) -> RepairReport:
        """Repair, and prove it."""
        raise NotImplementedError
