from __future__ import annotations

import doctest
import random

from gen.evaluation import counts
from gen.evaluation.counts import Confusion, confusion


def test_the_examples_hold() -> None:
    found = doctest.testmod(counts)
    assert (found.failed, found.attempted > 0) == (0, True)


def test_shares_are_those_of_the_textbook() -> None:
    made = Confusion(true_positives=8, false_positives=2, false_negatives=4, true_negatives=86)
    assert made.precision is not None
    assert made.recall is not None
    assert made.f1 is not None
    assert made.false_positive_rate is not None
    assert (made.precision.value, made.precision.of) == (0.8, 10)
    assert round(made.recall.value, 4) == 0.6667
    assert round(made.f1.value, 4) == 0.7273
    assert round(made.false_positive_rate.value, 4) == 0.0227


def test_what_was_never_counted_has_no_share() -> None:
    only_good = Confusion(true_negatives=5)
    assert (only_good.precision, only_good.recall, only_good.f1) == (None, None, None)
    assert only_good.false_positive_rate is not None
    assert only_good.false_positive_rate.high > 0.3


def test_counts_of_two_folds_add_up() -> None:
    assert Confusion(1, 2, 3, 4) + Confusion(10, 20, 30, 40) == Confusion(11, 22, 33, 44)


def test_the_interval_of_f1_holds_the_truth_about_as_often_as_it_says() -> None:
    """Drawn from a population with recall .9 and 20 good records in a thousand rejected: F1 = 2·90 / (2·90 + 10 + 18)."""
    rng, held, truth = random.Random(5), 0, 180 / 208
    for _ in range(400):
        bad = [rng.random() < 0.1 for _ in range(600)]
        made = confusion((one, rng.random() < (0.9 if one else 0.02)) for one in bad)
        assert made.f1 is not None
        held += made.f1.low <= truth <= made.f1.high
    assert 0.92 <= held / 400 <= 0.98
