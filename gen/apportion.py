"""Divide a whole number in proportion, without losing one (Hamilton's method)."""

from __future__ import annotations

import math
from collections.abc import Sequence


def largest_remainder(total: int, weights: Sequence[float]) -> list[int]:
    """`total` in whole numbers proportional to `weights`; what rounding leaves goes to the largest remainders, ties to the first.

    >>> largest_remainder(10, [0.7, 0.3, 0.3])
    [6, 2, 2]
    """
    whole = sum(weights)
    exact = [total * weight / whole for weight in weights]
    shares = [math.floor(value) for value in exact]
    order = sorted(range(len(weights)), key=lambda place: (-round(exact[place] - shares[place], 9), place))
    for place in order[: total - sum(shares)]:
        shares[place] += 1
    return shares
