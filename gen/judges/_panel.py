"""Several models' numbers as one, and how far they lie apart.

Verga et al. 2024, "Replacing Judges with Juries": a panel of models of several makers favours none of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import fmean, median
from typing import Literal

from gen.opinions import Mark

Combine = Literal["mean", "median", "minimum"]
_COMBINE: Mapping[str, Callable[[Sequence[float]], float]] = {"mean": fmean, "median": median, "minimum": min}


def together_as(numbers: Sequence[float], how: Combine) -> float:
    """The panel's number.

    >>> together_as([5, 4, 1], "median"), together_as([5, 4, 1], "minimum")
    (4.0, 1.0)
    """
    return round(float(_COMBINE[how](numbers)), 4)


def is_quorum(read: int, asked: int) -> bool:
    """Whether enough opinions could be read to speak for the panel: more than half.

    >>> is_quorum(1, 1), is_quorum(1, 2), is_quorum(2, 3)
    (True, False, True)
    """
    return 2 * read > asked


def joined(marks: Mapping[str, Mark], how: Combine) -> Mark:
    """One aspect's marks, by model, as one mark; each model's reason stays under its name."""
    reasons = "; ".join(f"{model} {mark.score:g}{': ' + mark.reason if mark.reason else ''}" for model, mark in marks.items())
    return Mark(together_as([mark.score for mark in marks.values()], how), reasons)


def widest(opinions: Mapping[str, Mapping[str, Mark]]) -> tuple[float, str]:
    """(how far the models lie apart at most on one aspect, which aspect that is); the first of equals."""
    by_model = list(opinions.values())
    gaps = {
        aspect: max(marks[aspect].score for marks in by_model) - min(marks[aspect].score for marks in by_model) for aspect in by_model[0]
    }
    worst = max(gaps, key=lambda aspect: gaps[aspect])
    return gaps[worst], worst
