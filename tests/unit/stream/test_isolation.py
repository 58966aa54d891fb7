"""Which parts make a whole fail: found by halves, on top of what was accepted."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_jobs.lib.isolation import isolate


class Whole:
    """Fails with a bad part, or when the parts' sum is beyond ``limit``; a part may be a group of numbers."""

    def __init__(self, bad: set[int], limit: float = math.inf) -> None:
        self.bad, self.limit, self.tries = bad, limit, 0

    def error_of(self, parts: Sequence[tuple[int, ...]]) -> Exception | None:
        self.tries += 1
        numbers = [number for part in parts for number in part]
        return ValueError("refused") if self.bad & set(numbers) or sum(numbers) > self.limit else None


def split(part: tuple[int, ...]) -> list[tuple[int, ...]]:
    return [(number,) for number in part] if len(part) > 1 else []


@given(st.sets(st.integers(1, 60)), st.lists(st.integers(1, 6), min_size=1, max_size=12))
def test_exactly_the_bad_ones_are_found(bad: set[int], sizes: list[int]) -> None:
    edges = [1]
    for size in sizes:
        edges.append(edges[-1] + size)
    parts = [tuple(range(low, high)) for low, high in pairwise(edges)]
    numbers = set(range(1, edges[-1]))
    found = isolate(parts, Whole(bad).error_of, split, most=100)
    assert sorted(number for (number,), _ in found.culprits) == sorted(bad & numbers)
    assert {number for part in found.accepted for number in part} == numbers - bad
    assert not found.more


def test_one_of_many_takes_few_tries() -> None:
    whole = Whole({70_000})
    found = isolate([tuple(range(i, i + 1000)) for i in range(0, 100_000, 1000)], whole.error_of, split, most=1)
    assert [part for part, _ in found.culprits] == [(70_000,)]
    assert whole.tries < 45


def test_what_fits_alone_and_not_together() -> None:
    whole = Whole(set(), limit=10)
    found = isolate([(4,), (5,), (3,), (1,)], whole.error_of, split, most=5)
    assert found.accepted == [(4,), (5,), (1,)]
    assert [part for part, _ in found.culprits] == [(3,)]


@pytest.mark.parametrize(("most", "more"), [(2, True), (3, False)])
def test_too_many_end_the_search(most: int, more: bool) -> None:
    found = isolate([(i,) for i in range(20)], Whole({3, 7, 11}).error_of, split, most)
    assert (found.more, len(found.culprits)) == (more, most)


def test_when_even_nothing_fails_no_part_is_at_fault() -> None:
    found = isolate([(1,), (2,)], lambda _: ValueError("the ledger is broken"), split, most=5)
    assert (found.accepted, found.culprits, found.more) == ([], [], False)


def test_other_errors_end_it() -> None:
    def error_of(parts: Sequence[tuple[int, ...]]) -> Exception | None:
        raise ConnectionError("gone")

    with pytest.raises(ConnectionError):
        isolate([(1,)], error_of, split, most=5)
