"""Ids from Spark's bitmaps."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from include.warehouse.id_ranges import IdRanges
from spark_jobs.lib.aggregate import ids_of_bitmap


@given(st.sets(st.integers(0, 400), min_size=1), st.integers(0, 10**12))
def test_every_set_bit_is_an_id(positions: set[int], base: int) -> None:
    bits = bytearray(max(positions) // 8 + 1)
    for position in positions:
        bits[position // 8] |= 1 << (position % 8)
    expected = IdRanges((base + position, base + position) for position in positions)
    assert ids_of_bitmap(bytes(bits), base) == tuple(expected)
