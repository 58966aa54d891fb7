"""Streams that are made of the trades: ``@kline_<interval>``, ``@miniTicker`` and ``@bookTicker``."""

from __future__ import annotations

from include.market.standin.broadcast import Batch
from include.market.standin.faults import Faults
from include.market.standin.ledger import Ledger


class ViewBroadcast:
    """Events of the derived streams of all symbols."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def batches(self, wanted: set[str], faults: Faults) -> list[Batch]:
        """Events that are due, for the streams that are ``wanted``."""
        return []
