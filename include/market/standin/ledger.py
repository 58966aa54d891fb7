"""The ledger port: one append-only list of trades per symbol, the ground truth behind every view of the market."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from include.market.standin.trades import TradeColumns


@dataclass(frozen=True)
class Pace:
    """How the market is to run.

    ``rate`` is trades a second over all symbols (``None``: as configured), ``factor`` multiplies it (a burst), and
    no symbol in ``stopped`` trades; its ids go on consecutively afterwards.
    """

    rate: float | None = None
    factor: float = 1.0
    stopped: frozenset[str] = frozenset()


class Ledger(Protocol):
    """Trades that have happened, by consecutive id. Times are microseconds since the epoch.

    Symbols are upper case; an unknown symbol raises ``KeyError``. Only :meth:`advance` adds trades, so all views
    taken between two calls agree.
    """

    @property
    def symbols(self) -> tuple[str, ...]:
        """Symbols that the exchange lists."""
        ...

    @property
    def now_us(self) -> int:
        """Market time: no trade is later. In a replay it is the recorded time that has been reached."""
        ...

    @property
    def resumed(self) -> bool:
        """Whether trades of an earlier run are continued."""
        ...

    def advance(self, now_us: int) -> None:
        """Let the exchange's clock reach ``now_us``; an earlier time changes nothing."""
        ...

    def set_pace(self, pace: Pace) -> None:
        """Run the market differently from now on."""
        ...

    def first_id(self, symbol: str) -> int:
        """Id of the oldest trade (or of the first to come)."""
        ...

    def next_id(self, symbol: str) -> int:
        """Id of the next trade to come: one past the newest."""
        ...

    def columns(self, symbol: str, first: int, stop: int) -> TradeColumns:
        """The trades with ``first`` ≤ id < ``stop``, as far as they exist."""
        ...

    def id_at(self, symbol: str, time_us: int) -> int:
        """Id of the first trade at or after a time; :meth:`next_id` when there is none."""
        ...

    def first_of_aggregate(self, symbol: str, aggregate_id: int) -> int:
        """Id of the first trade of an aggregate, within first and next id for aggregates outside the ledger."""
        ...

    def close(self) -> None:
        """Record where the ledger ends, so that the next run continues it."""
        ...
