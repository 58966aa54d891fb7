"""Exact decimals as whole numbers: a price of 1.5 is 150_000_000 units of 10⁻⁸.

Sums of whole numbers are exact and quick, and have no precision to run out of.
"""

from __future__ import annotations

from decimal import Context, Decimal

PRICE_PLACES = 8  # prices, quantities, averages
QUOTE_PLACES = 16  # price × quantity

_EXACT = Context(prec=80)  # the default context would round a DECIMAL(38) to 28 digits


def to_units(value: Decimal, places: int) -> int:
    """``value`` in units of 10^-places. Raises ``ValueError`` when it has more decimals than that."""
    scaled = value.scaleb(places, _EXACT)
    units = int(scaled)
    if units != scaled:
        raise ValueError(f"{value} has more than {places} decimals")
    return units


def to_decimal(units: int, places: int) -> Decimal:
    """The decimal with exactly ``places`` decimals."""
    return Decimal(units).scaleb(-places, _EXACT)


def to_text(units: int, places: int) -> str:
    """``units`` (not negative) in plain notation, as SQL takes it."""
    digits = str(units).zfill(places + 1)
    return digits[:-places] + "." + digits[-places:]


def divide_half_up(numerator: int, denominator: int) -> int:
    """``numerator / denominator`` of two non-negative whole numbers, rounded half up."""
    return (2 * numerator + denominator) // (2 * denominator)
