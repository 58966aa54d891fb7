"""The pure side of repairing: what a step can come to, and how long to wait."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from include.market.messages import RestTrade
from include.market.rest import PAGE_LIMIT
from include.market.weight import WeightBudget

LONGEST_WAIT = 5.0
_FIRST_WAIT = 0.2
_GRACE_SECONDS = 0.1  # frames that merely overtook each other close their gap by themselves
_PAGE_WEIGHT = 25
_SHARE_FOR_REPAIR, _SHARE_FOR_POLLING = 0.8, 0.5  # of the weight budget


class Step(StrEnum):
    """What one step came to."""

    POLLED = "polled"  # nothing was known to be missing; the exchange was asked for what comes next
    PROGRESS = "progress"
    NOTHING_YET = "nothing_yet"  # the exchange's REST side does not know the trade yet
    HOLE_SUSPECTED = "hole_suspected"  # its answer starts behind the id; asked once more
    HOLE = "hole"  # … and again: there is no such trade
    DISTRUSTED = "distrusted"  # the stream spoke of ids that the exchange does not know
    SKIPPED = "skipped"  # the backfill limit
    NO_ROOM = "no_room"  # Kafka is away
    RATE_LIMITED = "rate_limited"
    FAILED = "failed"  # no endpoint answered, or the call was refused


class Coverage(StrEnum):
    """What a page says about ids before its first row."""

    BY_ID = "by_id"  # there are none from the asked id on
    RECENT = "recent"  # nothing: it is just the newest trades


@dataclass(frozen=True)
class Page:
    """Trades in id order."""

    rows: list[RestTrade]
    coverage: Coverage


def grace_seconds(budget: WeightBudget, symbols: int, missing: int) -> float:
    """Seconds to wait before ``missing`` ids are asked for (again).

    A feed that keeps dropping frames here and there opens gaps all the time. Once a good part of the weight budget is
    spent, the rest is spread over the rest of the minute, each call closing all gaps that have come together.
    """
    left = _SHARE_FOR_REPAIR * budget.limit - budget.used
    if missing >= PAGE_LIMIT:
        return 0.0  # a full page is worth its weight
    if left > _SHARE_FOR_REPAIR / 2 * budget.limit:
        return _GRACE_SECONDS
    calls = max(1.0, left / _PAGE_WEIGHT / symbols)
    return max(_GRACE_SECONDS, budget.seconds_to_reset() / calls)


def poll_interval(budget: WeightBudget, symbols: int) -> float:
    """Seconds between two polls of a symbol: at least 1, more when many symbols share the weight budget."""
    return max(1.0, symbols * _PAGE_WEIGHT * 60 / (_SHARE_FOR_POLLING * budget.limit))


def wait_after(failures: int) -> float:
    """Seconds to wait after this many answers in a row that did not help."""
    return min(LONGEST_WAIT, _FIRST_WAIT * 2.0 ** min(max(0, failures - 1), 10))
