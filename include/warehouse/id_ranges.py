"""Sets of whole numbers as ranges: which trade ids are counted. Ids are consecutive, so a set is a few ranges."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator


class IdRanges:  # noqa: PLW1641 - changeable, so not hashable
    """A set of whole numbers, kept as disjoint, non-adjacent ranges with both ends included."""

    def __init__(self, ranges: Iterable[tuple[int, int]] = ()) -> None:
        self._firsts: list[int] = []
        self._lasts: list[int] = []
        for first, last in ranges:
            self.add(first, last)

    def add(self, first: int, last: int) -> None:
        """Add every number from ``first`` to ``last``. Raises ``ValueError`` when there is none."""
        if first > last:
            raise ValueError(f"a range from {first} to {last} holds nothing")
        # every range that overlaps or abuts the new one melts into it
        start, stop = bisect_left(self._lasts, first - 1), bisect_right(self._firsts, last + 1)
        if start < stop:
            first, last = min(first, self._firsts[start]), max(last, self._lasts[stop - 1])
        self._firsts[start:stop], self._lasts[start:stop] = [first], [last]

    def overlap(self, first: int, last: int) -> int:
        """How many of the numbers from ``first`` to ``last`` are in the set."""
        start, stop = bisect_left(self._lasts, first), bisect_right(self._firsts, last)
        return sum(min(self._lasts[i], last) - max(self._firsts[i], first) + 1 for i in range(start, stop))

    def copy(self) -> IdRanges:
        """An independent copy."""
        twin = IdRanges()
        twin._firsts, twin._lasts = self._firsts.copy(), self._lasts.copy()
        return twin

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """The ranges, ascending."""
        return iter(zip(self._firsts, self._lasts, strict=True))

    def __len__(self) -> int:
        """How many ranges (not numbers) there are."""
        return len(self._firsts)

    def __eq__(self, other: object) -> bool:
        """Equal when the same numbers are in both."""
        return isinstance(other, IdRanges) and self._firsts == other._firsts and self._lasts == other._lasts

    def __repr__(self) -> str:
        return f"IdRanges({list(self)})"
