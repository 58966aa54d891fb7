"""Which ids count as missing, and which are merely on their way."""

from __future__ import annotations

import pytest

from include.repair.gaps import complement, find_gaps, last_id_due
from include.repair.model import IdGap
from include.warehouse.id_ranges import IdRanges


@pytest.mark.parametrize(
    ("counted", "expected"),
    [
        ([], [(10, 20)]),
        ([(10, 20)], []),
        ([(1, 99)], []),
        ([(12, 14)], [(10, 11), (15, 20)]),
        ([(1, 10), (12, 12), (20, 30)], [(11, 11), (13, 19)]),
        ([(1, 9), (21, 30)], [(10, 20)]),
    ],
)
def test_what_is_not_counted(counted: list[tuple[int, int]], expected: list[tuple[int, int]]) -> None:
    assert list(complement(10, 20, counted)) == expected


@pytest.mark.parametrize(
    ("newest", "unread", "missing"),
    [
        (14, False, [(12, 12), (15, 20)]),  # everything in Kafka is read: what is behind the newest is missing
        (14, True, [(12, 12)]),  # it may still lie in Kafka; a hole below the newest may not
        (None, True, []),
        (None, False, [(12, 12), (15, 20)]),
    ],
)
def test_the_head_is_a_gap_only_when_nothing_is_unread(
    newest: int | None, unread: bool, missing: list[tuple[int, int]]
) -> None:
    found = find_gaps("X", (10, 20), IdRanges([(10, 11), (13, 14)]), newest, unread=unread)
    assert found == tuple(IdGap("X", *ids) for ids in missing)


@pytest.mark.parametrize(("newest", "due"), [(None, 50), (40, 50), (60, 60)])
def test_up_to_which_id_the_tables_are_judged(newest: int | None, due: int) -> None:
    assert last_id_due(50, newest) == due
