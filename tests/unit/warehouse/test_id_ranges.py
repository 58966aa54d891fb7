"""Sets of ids as ranges behave as plain sets do."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.warehouse.id_ranges import IdRanges

RANGES = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 12)).map(lambda p: (p[0], p[0] + p[1])), max_size=12)


def numbers(ranges: list[tuple[int, int]]) -> set[int]:
    return {n for first, last in ranges for n in range(first, last + 1)}


@given(RANGES)
def test_holds_the_numbers_added_in_disjoint_non_adjacent_ranges(added: list[tuple[int, int]]) -> None:
    ranges = list(IdRanges(added))
    assert numbers(ranges) == numbers(added)
    assert all(last + 1 < first for (_, last), (first, _) in pairwise(ranges))


@given(RANGES, st.integers(-5, 80), st.integers(0, 40))
def test_overlap_counts_the_common_numbers(added: list[tuple[int, int]], first: int, length: int) -> None:
    wanted = range(first, first + length + 1)
    assert IdRanges(added).overlap(wanted[0], wanted[-1]) == len(numbers(added) & set(wanted))


@given(RANGES)
def test_order_of_adding_does_not_matter(added: list[tuple[int, int]]) -> None:
    assert IdRanges(added) == IdRanges(reversed(added))


def test_a_copy_is_independent() -> None:
    original = IdRanges([(1, 3)])
    original.copy().add(4, 9)
    assert list(original) == [(1, 3)]


def test_an_empty_range_is_refused() -> None:
    with pytest.raises(ValueError, match="holds nothing"):
        IdRanges([(3, 2)])
