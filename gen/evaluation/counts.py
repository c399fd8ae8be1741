"""Right and wrong decisions, and the shares that follow from them with their 95 % intervals."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from gen.figures.measures import interval


class Share(NamedTuple):
    """A figure from 0 to 1 with its 95 % interval; `of` is the number of decisions it was counted on."""

    value: float
    low: float
    high: float
    of: int


@dataclass(frozen=True, slots=True)
class Confusion:
    """Decisions on labelled items: what ought to be rejected is positive. A share that nothing was counted for is None."""

    true_positives: int = 0
    false_positives: int = 0
    false_negatives: int = 0
    true_negatives: int = 0

    def __add__(self, other: Confusion) -> Confusion:
        return Confusion(
            self.true_positives + other.true_positives,
            self.false_positives + other.false_positives,
            self.false_negatives + other.false_negatives,
            self.true_negatives + other.true_negatives,
        )

    @property
    def items(self) -> int:
        return self.positives + self.negatives

    @property
    def positives(self) -> int:
        """How many ought to be rejected."""
        return self.true_positives + self.false_negatives

    @property
    def negatives(self) -> int:
        """How many ought to be kept."""
        return self.false_positives + self.true_negatives

    @property
    def precision(self) -> Share | None:
        """Of what was rejected, the share that ought to be."""
        return _share(self.true_positives, self.true_positives + self.false_positives)

    @property
    def recall(self) -> Share | None:
        """Of what ought to be rejected, the share that was."""
        return _share(self.true_positives, self.positives)

    @property
    def false_positive_rate(self) -> Share | None:
        """Of what ought to be kept, the share that was rejected."""
        return _share(self.false_positives, self.negatives)

    @property
    def f1(self) -> Share | None:
        """The harmonic mean of precision and recall. Its interval is that of TP / (TP + FP + FN), which is a plain share, carried over by
        F1 = 2 s / (1 + s), which rises with it (Hand, Christen & Kirielle 2021, "F*: an interpretable transformation of the F-measure").

        >>> [round(end, 3) for end in Confusion(90, 5, 5, 900).f1]
        [0.947, 0.904, 0.972, 100]
        """
        share = _share(self.true_positives, self.true_positives + self.false_positives + self.false_negatives)
        if share is None or not self.positives:
            return None
        value, low, high = (2 * end / (1 + end) for end in share[:3])
        return Share(value, low, high, share.of)


def confusion(decisions: Iterable[tuple[bool, bool]]) -> Confusion:
    """Decisions as (ought to be rejected, was rejected), counted.

    >>> confusion([(True, True), (True, False), (False, False)])
    Confusion(true_positives=1, false_positives=0, false_negatives=1, true_negatives=1)
    """
    counts = {(ought, was): 0 for ought in (True, False) for was in (True, False)}
    for ought, was in decisions:
        counts[bool(ought), bool(was)] += 1
    return Confusion(counts[True, True], counts[False, True], counts[True, False], counts[False, False])


def _share(good: int, of: int) -> Share | None:
    return Share(good / of, *interval(good, of), of) if of else None
