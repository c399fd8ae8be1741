"""Numbers as a reader sees them, the same in every paper."""

from __future__ import annotations

from collections.abc import Sequence

from gen.figures.measures import Scores
from gen.figures.whole import Figures
from gen.markup import cut
from gen.record import GateLine, RunRecord

UNKNOWN = "unknown"
CATEGORY_COLUMNS = ("Category", "Opinions", "Median", "Highest")
_LONGEST_OPTION = 120  # characters: a list of denied words need not be read here
_JOINED = "\u00a0"  # a space that no line break replaces


def usd(value: float | None) -> str:
    """Dollars with enough digits to see a small price; None is unknown, never 0.

    >>> usd(None), usd(0.000412), usd(12.3), usd(0.0)
    ('unknown', '$0.00041', '$12.30', '$0.00')
    """
    if value is None:
        return UNKNOWN
    return f"${value:,.2f}" if value >= 1 or value == 0 else f"${value:.2g}" if value >= 0.0001 else f"${value:.6f}"


def percent(value: float) -> str:
    """A share as a percentage, its sign kept on the same line; one that is small but not 0 does not read as 0 %.

    >>> [text.replace(_JOINED, "~") for text in map(percent, (0.413, 0.0004, 0.9999, 1))]
    ['41~%', '<~1~%', '>~99~%', '100~%']
    """
    sign, shown = ("<", 0.01) if 0 < value < 0.01 else (">", 0.99) if 0.99 < value < 1 else ("", value)
    return _JOINED.join(filter(None, (sign, f"{100 * shown:.0f}", "%")))


def many(count: int, noun: str) -> str:
    """A count and its noun.

    >>> many(1, "sample"), many(1200, "sample")
    ('1 sample', '1,200 samples')
    """
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def longer(words: int) -> str:
    """A difference of lengths.

    >>> longer(12), longer(-1), longer(0)
    ('12 words longer', '1 word shorter', 'as long')
    """
    return f"{many(abs(words), 'word')} {'longer' if words > 0 else 'shorter'}" if words else "as long"


def total_cost(figures: Figures) -> str:
    """The whole cost; what is known of it when a price is missing."""
    cost = figures.cost
    if not cost.unpriced:
        return usd(cost.total)
    known = f", at least {usd(cost.known)}" if cost.known else ""
    return f"{UNKNOWN} ({cost.unpriced:,} of {cost.calls:,} replies have no known price{known})"


def gate_options(gate: GateLine) -> str:
    """A gate's options in one line: `minimum 4, judge rubric`; those that are off or empty are left out, long ones cut."""
    stated = [(name, value) for name, value in gate.options if value not in (None, "", (), [], {})]
    return ", ".join(f"{name} {cut(_value(value), _LONGEST_OPTION)}" for name, value in stated) or "none"


def categories(found: Sequence[Scores], judge: str) -> list[tuple[str, int, str, str]]:
    """The rows of a table of the judge's categories, under `CATEGORY_COLUMNS`, the highest value first; none where each has a figure."""
    parts = sorted((one for one in found if one.part_of == judge), key=lambda one: (-(one.highest or 0.0), one.judge))
    return [(one.judge.removeprefix(f"{judge}."), one.count, _score(one.middle), _score(one.highest)) for one in parts]


def dates(record: RunRecord) -> str:
    """From the first to the last day of work on the run."""
    days = sorted({moment[:10] for session in record.sessions for moment in (session.started, session.ended) if moment})
    if not days:
        return UNKNOWN
    return days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"


def size_of(rows: int) -> str:
    """The Hub's size category.

    >>> size_of(12), size_of(40_000)
    ('n<1K', '10K<n<100K')
    """
    bounds = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
    return next((name for bound, name in bounds if rows < bound), "n>1M")


def _score(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:g}"


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return "/".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
