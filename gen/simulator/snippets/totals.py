# task: groups transactions by customer and adds up the amounts
# note: Decimal avoids the rounding errors that floating point numbers bring to money
from collections import defaultdict
from decimal import Decimal


def totals(rows: list[tuple[str, Decimal]]) -> dict[str, Decimal]:
    """The sum of amounts per customer."""
    sums: defaultdict[str, Decimal] = defaultdict(Decimal)
    for customer, amount in rows:
        sums[customer] += amount
    return dict(sums)
