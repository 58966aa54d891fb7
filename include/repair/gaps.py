"""Which trade ids of a time the exchange has and the tables do not count."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from include.repair.model import IdGap
from include.warehouse.id_ranges import IdRanges


def last_id_due(settled: int, newest_counted: int | None) -> int:
    """Up to which id the tables can be judged.

    ``settled``: the newest id old enough that it should be counted. What the tables count beyond it is judged as well;
    still newer ids are on their way.
    """
    return settled if newest_counted is None else max(settled, newest_counted)


def find_gaps(
    symbol: str, ids: tuple[int, int], counted: IdRanges, newest_counted: int | None, *, unread: bool
) -> tuple[IdGap, ...]:
    """Of ``ids``, first and last, those that are not counted.

    ``unread``: records lie in Kafka that the stream has not read. The ids beyond the newest counted one may be among
    them, so they are not gaps. Below it they cannot be: a symbol's records are read in the order of their ids.
    """
    first, last = ids
    if unread:
        last = -1 if newest_counted is None else min(last, newest_counted)
    return tuple(IdGap(symbol, low, high) for low, high in complement(first, last, counted))


def complement(first: int, last: int, ids: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """The numbers from ``first`` to ``last`` that are in none of the ascending ranges ``ids``."""
    for low, high in ids:
        if high < first:
            continue
        if low > last:
            break
        if low > first:
            yield first, low - 1
        first = high + 1
    if first <= last:
        yield first, last
