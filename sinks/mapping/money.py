"""Amounts of money: decimals with two places, never float arithmetic."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

_CENT: Final = Decimal("0.01")
_EXACT_BELOW: Final = Decimal(10) ** 13
"""Notion stores a double: below this every amount in cents survives the way there and back."""


def cents(amount: Decimal) -> Decimal | None:
    """Return the same amount with two places, None if it has more, or so many digits that Notion would change it.

    The amount must be finite.
    """
    if abs(amount) >= _EXACT_BELOW:
        return None
    rounded = amount.quantize(_CENT)
    if rounded != amount:
        return None
    return abs(rounded) if rounded.is_zero() else rounded  # Notion may answer -0
