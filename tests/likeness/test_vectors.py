"""The nearest vectors are found, whatever the machine."""

from __future__ import annotations

import numpy as np
import pytest

from gen.errors import InputError
from gen.likeness.vectors import Vectors, encoded


def pairs(count: int, cosine: float, dimensions: int = 128) -> tuple[np.ndarray, np.ndarray]:
    """Random directions and, for each, one at about this cosine."""
    rng = np.random.default_rng(7)
    one = rng.standard_normal((count, dimensions))
    one /= np.linalg.norm(one, axis=1, keepdims=True)
    away = rng.standard_normal((count, dimensions))
    away -= (away * one).sum(axis=1, keepdims=True) * one
    away /= np.linalg.norm(away, axis=1, keepdims=True)
    return one, cosine * one + np.sqrt(1 - cosine**2) * away


def test_a_neighbour_above_the_threshold_is_found_among_many() -> None:
    ones, others = pairs(9_000, 0.9)  # more than a block
    seen = Vectors()
    for vector in ones:
        seen.add(encoded(vector.tolist()))
    found = [seen.alike(encoded(others[place].tolist()), 0.85, most=3) for place in range(0, 9_000, 30)]
    assert [one[0][0] for one in found] == list(range(0, 9_000, 30))
    assert max(abs(one[0][1] - 0.9) for one in found) < 0.005
    assert len(seen) == 9_000


def test_the_sieve_loses_no_pair_at_the_very_threshold() -> None:
    ones, others = pairs(400, 0.86)
    seen = Vectors()
    for vector in ones:
        seen.add(encoded(vector.tolist()))
    assert sum(bool(seen.alike(encoded(vector.tolist()), 0.85, most=1)) for vector in others) == 400


def test_only_the_label_asked_for_counts_and_the_most_alike_comes_first() -> None:
    seen = Vectors()
    for vector, label in (([1.0, 0.0, 0.1], 5), ([1.0, 0.0, 0.0], 5), ([1.0, 0.0, 0.0], -7), ([1.0, 0.0, 0.0], 5)):
        seen.add(encoded(vector), label)
    assert [place for place, _ in seen.alike(encoded([1, 0, 0]), 0.8, 5, most=9)] == [1, 3, 0]
    assert [place for place, _ in seen.alike(encoded([1, 0, 0]), 0.8, 5, most=1)] == [1]
    assert [place for place, _ in seen.alike(encoded([1, 0, 0]), 0.8, -7, most=9)] == [2]
    assert seen.alike(encoded([1, 0, 0]), 0.8, 1, most=9) == []


def test_memory_is_a_byte_a_dimension_and_little_more() -> None:
    seen = Vectors()
    for _ in range(8_192):
        seen.add(encoded([1.0] * 384))
    assert seen.nbytes / len(seen) == 384 + 40


@pytest.mark.parametrize("vector", [[], [0.0, 0.0], [float("nan"), 1.0], [float("inf"), 1.0]])
def test_what_has_no_direction_is_refused(vector: list[float]) -> None:
    with pytest.raises(InputError, match="no direction"):
        encoded(vector)


def test_vectors_of_two_lengths_do_not_mix() -> None:
    seen = Vectors()
    seen.add(encoded([1.0, 0.0]))
    with pytest.raises(InputError, match="3 numbers among vectors of 2"):
        seen.alike(encoded([1.0, 0.0, 0.0]), 0.9, most=1)
