"""Rows go from low to high by what is asked for, the same every time, and say what is missing."""

from __future__ import annotations

import numpy as np
import pytest

from gen.errors import InputError
from gen.packing import pack_lengths
from gen.templates.curriculum import Order, level, ordered
from gen.types import Message, Provenance, Sample, Score

LENGTHS = [(place * 37) % 90 + 5 for place in range(200)]
ROWS = pack_lengths(LENGTHS, 100, shuffle_seed=3)
NOTHING: list[float | None] = []


def keys(rows: object, values: list[float], how: str) -> list[float]:
    return [float(getattr(np, how)(np.array(values)[row])) for row in rows]  # type: ignore[attr-defined]


def test_rows_by_length_are_sorted_by_their_longest_sample_and_hold_the_same_samples() -> None:
    made = ordered(ROWS, "length", LENGTHS, NOTHING)
    assert keys(made, [float(one) for one in LENGTHS], "max") == sorted(keys(ROWS, [float(one) for one in LENGTHS], "max"))
    assert sorted(row.tolist() for row in made) == sorted(row.tolist() for row in ROWS)


@pytest.mark.parametrize("order", ["difficulty", "depth"])
def test_rows_by_level_are_sorted_by_the_mean_and_alike_ones_stay_shuffled(order: Order) -> None:
    levels = [float(place % 5) for place in range(200)]
    made = ordered(ROWS, order, LENGTHS, list(levels))
    means = keys(made, levels, "mean")
    assert means == sorted(means)
    assert [row.tolist() for row in ordered(ROWS, order, LENGTHS, [1.0] * 200)] == [row.tolist() for row in ROWS]


def test_a_sample_without_a_level_is_average_in_difficulty_and_first_in_depth() -> None:
    alone = pack_lengths([100, 100, 100], 100)
    assert [row.tolist() for row in ordered(alone, "difficulty", [100] * 3, [5.0, None, 1.0])] == [[2], [1], [0]]
    assert [row.tolist() for row in ordered(alone, "depth", [100] * 3, [2.0, 1.0, None])] == [[2], [1], [0]]


@pytest.mark.parametrize(("order", "way_out"), [("difficulty", "add the judge `tags`"), ("depth", "evol_instruct")])
def test_what_no_sample_says_is_an_error_that_tells_how_to_get_it(order: Order, way_out: str) -> None:
    with pytest.raises(InputError, match=way_out):
        ordered(ROWS, order, LENGTHS, [None] * 200)
    assert len(ordered(pack_lengths([], 100), order, [], [])) == 0


def test_levels_are_the_judges_difficulty_and_the_round_of_an_evolution() -> None:
    messages = (Message("user", "Hi"), Message("assistant", "Hello"))
    sample = Sample("s", messages, scores={"tags": Score(4), "tags.difficulty": Score(4)}, provenance=Provenance(notes={"round": 2}))
    assert [level(sample, order) for order in ("shuffle", "length", "difficulty", "depth")] == [None, None, 4, 2.0]
    plain = Sample("s", messages, scores={"tags.difficulty": Score(None, "unreadable")}, provenance=Provenance(notes={"round": True}))
    assert [level(plain, order) for order in ("difficulty", "depth")] == [None, None]
