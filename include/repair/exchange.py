"""The exchange's trades by id, page by page, as patiently as its limits ask."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol, TypeVar

from include.market.errors import MarketError, NoEndpointError, RateLimitedError
from include.market.messages import RestTrade
from include.market.rest import PAGE_LIMIT
from include.market.weight import WeightBudget
from include.repair.errors import RepairError

T = TypeVar("T")
Progress = Callable[[str], None]

_SHARE = 0.6  # of the minute's weight: btc_producer, behind the same address, must still be able to close its own gaps
_LONGEST_WAIT = 300.0  # a longer ban is for people: the next run finds what is still missing
_AWAY_SECONDS = 60.0  # without any endpoint
_FIRST_PAUSE, _LONGEST_PAUSE = 0.25, 5.0
_CONFIRM_SECONDS = 0.5  # between the two answers that make a hole


class TradeClient(Protocol):
    """What is needed of :class:`include.market.rest.RestClient`."""

    budget: WeightBudget

    def newest_trade_id(self, symbol: str) -> int | None:
        """See the client."""
        ...

    def first_trade_id_at(self, symbol: str, time_ms: int) -> int | None:
        """See the client."""
        ...

    def trades_from(self, symbol: str, trade_id: int, limit: int) -> list[RestTrade]:
        """See the client."""
        ...


@dataclass(frozen=True)
class Page:
    """The trades that the exchange has of the ids from ``first`` to ``last``, in id order."""

    first: int
    last: int
    rows: tuple[RestTrade, ...]

    @property
    def lost(self) -> list[tuple[int, int]]:
        """The ids that it does not have, as ranges."""
        found, expected = [], self.first
        for row in self.rows:
            if row.trade_id > expected:
                found.append((expected, row.trade_id - 1))
            expected = row.trade_id + 1
        return [*found, (expected, self.last)] if expected <= self.last else found


class Exchange:
    """Every call raises :class:`RepairError` when the exchange cannot be asked for longer than is sensible to wait."""

    def __init__(self, client: TradeClient, progress: Progress, wait: Callable[[float], None] = time.sleep) -> None:
        self._client, self._progress, self._wait = client, progress, wait

    def first_id_at(self, symbol: str, time_ms: int) -> int | None:
        """Id of the first trade at or after a time; ``None`` when there is none yet."""
        return self._ask(lambda: self._client.first_trade_id_at(symbol, time_ms))

    def newest_id(self, symbol: str) -> int | None:
        """Id of the newest trade; ``None`` when the symbol never traded."""
        return self._ask(lambda: self._client.newest_trade_id(symbol))

    def first_from(self, symbol: str, trade_id: int) -> int | None:
        """The first id that the exchange has, from ``trade_id`` on."""
        rows = self._ask(lambda: self._client.trades_from(symbol, trade_id, 1))
        return rows[0].trade_id if rows else None

    def pages(self, symbol: str, first: int, last: int) -> Iterator[Page]:
        """The trades with ids from ``first`` to ``last``; the pages lie side by side and hold at most 1000 each.

        Ids that an answer passes over are asked for once more before they count as lost.
        """
        while first <= last:
            page = self._page(symbol, first, last)
            if page.lost:
                self._wait(_CONFIRM_SECONDS)
                page = self._page(symbol, first, last)
            yield page
            first = page.last + 1

    def _page(self, symbol: str, first: int, last: int) -> Page:
        wanted = min(PAGE_LIMIT, last - first + 1)
        answer = self._ask(lambda: self._client.trades_from(symbol, first, wanted))
        rows = tuple(row for row in answer if first <= row.trade_id <= last)
        complete = len(rows) < wanted  # nothing of ours is behind them
        return Page(first, last if complete else rows[-1].trade_id, rows)

    def _ask(self, call: Callable[[], T]) -> T:
        pause, away = _FIRST_PAUSE, 0.0
        while True:
            budget = self._client.budget
            if budget.used >= _SHARE * budget.limit:
                self._pause(
                    budget.seconds_to_reset(), "the request limit is left to btc_producer until the next minute"
                )
            try:
                return call()
            except RateLimitedError as error:
                if error.retry_after > _LONGEST_WAIT:
                    raise RepairError(f"{error}. Run the repair again then: it finds what is still missing.") from error
                self._pause(error.retry_after, error.reason)
            except NoEndpointError as error:
                if away > _AWAY_SECONDS:
                    raise RepairError(f"The exchange does not answer: {error}.") from error
                self._wait(pause)
                away, pause = away + pause, min(_LONGEST_PAUSE, pause * 2)
            except MarketError as error:
                raise RepairError(f"The exchange gives no trades: {error}.") from error

    def _pause(self, seconds: float, reason: str) -> None:
        self._progress(f"waiting {seconds:.0f} s: {reason}")
        self._wait(seconds + 0.05)
