"""Decimals as whole numbers: exact both ways, and rounded half up where a quotient must be."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Context, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.warehouse.fixed_point import divide_half_up, to_decimal, to_text, to_units


@given(st.integers(0, 10**38 - 1), st.sampled_from([8, 16]))
def test_units_survive_decimal_and_text(units: int, places: int) -> None:
    assert to_units(to_decimal(units, places), places) == units
    assert to_units(Decimal(to_text(units, places)), places) == units


@pytest.mark.parametrize(
    ("units", "text"), [(0, "0.00000000"), (1, "0.00000001"), (10**8, "1.00000000"), (123456789, "1.23456789")]
)
def test_text_is_plain(units: int, text: str) -> None:
    assert to_text(units, 8) == text


def test_a_ninth_decimal_is_refused_not_rounded() -> None:
    with pytest.raises(ValueError, match="more than 8 decimals"):
        to_units(Decimal("0.000000001"), 8)


@given(st.integers(0, 10**30), st.integers(1, 10**20))
def test_division_rounds_half_up(numerator: int, denominator: int) -> None:
    exact = Context(prec=200, rounding=ROUND_HALF_UP)
    quotient = exact.divide(Decimal(numerator), Decimal(denominator))
    assert divide_half_up(numerator, denominator) == int(exact.quantize(quotient, Decimal(1)))
