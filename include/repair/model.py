"""Words of the repair: for which time, what was missing, what was brought back, and whether the tables are right."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Span:
    """Trades from ``start`` (included) to ``end`` (not included), event time, aware UTC; of these symbols."""

    start: datetime
    end: datetime
    symbols: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class IdGap:
    """Trade ids from ``first`` to ``last`` that the exchange has and the tables do not count."""

    symbol: str
    first: int
    last: int

    @property
    def trades(self) -> int:
        """How many."""
        return self.last - self.first + 1


@dataclass(frozen=True, slots=True)
class Comparison:
    """Tables against the exchange's ledger, window by window. ``differing`` names at most 20 of them in words."""

    windows: int
    missing: int
    wrong: int
    extra: int
    differing: tuple[str, ...] = ()

    @property
    def equal(self) -> bool:
        """Whether every window is as the exchange's ledger says."""
        return self.windows > 0 and not (self.missing or self.wrong or self.extra)


@dataclass(frozen=True, slots=True)
class RepairReport:
    """What a repair found and did. ``unrecoverable``: trades that the exchange gives no more. ``before`` and ``after``
    are the comparisons; a repair that found nothing to do has ``after`` equal to ``before``.
    """

    span: Span
    gaps: tuple[IdGap, ...]
    fetched: int
    published: int
    recomputed_windows: int
    unrecoverable: int
    before: Comparison
    after: Comparison
    seconds: float
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def whole(self) -> bool:
        """Whether the tables are what they would have been without any fault."""
        return self.after.equal and not self.unrecoverable

    @property
    def missing_trades(self) -> int:
        """How many trades the tables lacked."""
        return sum(gap.trades for gap in self.gaps)
