"""Packing: exact best-fit decreasing, nothing lost, nothing too long, the same rows every time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gen.packing import efficiency, lower_bound, pack_lengths

CASES = st.integers(1, 60).flatmap(lambda limit: st.tuples(st.lists(st.integers(1, limit), max_size=80), st.just(limit)))


def naive_best_fit(lengths: list[int], limit: int) -> list[list[int]]:
    rows: list[list[int]] = []
    for size in sorted(lengths, reverse=True):
        fitting = [row for row in rows if sum(row) + size <= limit]
        row = min(fitting, key=lambda row: limit - sum(row)) if fitting else []
        if not fitting:
            rows.append(row)
        row.append(size)
    return rows


def first_fit(lengths: list[int], limit: int) -> int:
    rows: list[int] = []
    for size in lengths:
        position = next((index for index, used in enumerate(rows) if used + size <= limit), None)
        if position is None:
            rows.append(size)
        else:
            rows[position] += size
    return len(rows)


def textbook(count: int) -> np.ndarray:
    generator = np.random.RandomState(42)
    return np.clip(generator.lognormal(5.5, 0.8, count), 50, 2048).astype(int)


@given(CASES)
@settings(deadline=None)
def test_every_sequence_is_in_exactly_one_row_and_no_row_is_too_long(case: tuple[list[int], int]) -> None:
    lengths, limit = case
    rows = pack_lengths(lengths, limit)
    assert sorted(index for row in rows for index in row.tolist()) == list(range(len(lengths)))
    assert all(sum(lengths[index] for index in row.tolist()) <= limit for row in rows)
    assert len(rows) >= lower_bound(lengths, limit)


@given(CASES)
@example(([1, 17, 19, 27, 29], 47))  # a tie: two rows are equally full when the last sequence comes
@settings(deadline=None)
def test_the_rows_are_as_full_as_those_of_the_plain_algorithm(case: tuple[list[int], int]) -> None:
    lengths, limit = case
    ours = sorted(sum(lengths[index] for index in row.tolist()) for row in pack_lengths(lengths, limit))
    assert ours == sorted(sum(row) for row in naive_best_fit(lengths, limit))


@pytest.mark.parametrize("seed", range(5))
def test_no_more_rows_than_first_fit_on_lengths_as_data_has_them(seed: int) -> None:
    lengths = np.clip(np.random.RandomState(seed).lognormal(3.5, 0.8, 1500), 5, 256).astype(int).tolist()
    assert len(pack_lengths(lengths, 256)) <= first_fit(lengths, 256)


def test_ten_thousand_textbook_lengths_take_two_rows_more_than_the_bound() -> None:
    lengths = textbook(10_000)
    rows = pack_lengths(lengths, 2048)
    assert (len(rows), lower_bound(lengths, 2048)) == (1635, 1633)
    assert efficiency(int(lengths.sum()), len(rows), 2048) > 0.998


def test_a_million_lengths_are_assigned_in_full() -> None:
    lengths = textbook(1_000_000)
    rows = pack_lengths(lengths, 2048)
    assert len(rows) <= 163_234
    assert np.array_equal(np.sort(rows.indices), np.arange(1_000_000))
    assert int(np.add.reduceat(lengths[rows.indices], rows.starts[:-1]).max()) <= 2048


def test_a_seed_changes_the_order_of_rows_and_nothing_else() -> None:
    lengths = textbook(500)
    plain, one, again, other = (pack_lengths(lengths, 2048, shuffle_seed=seed) for seed in (None, 1, 1, 2))
    as_sets = [{tuple(row.tolist()) for row in rows} for rows in (plain, one, other)]
    assert as_sets[0] == as_sets[1] == as_sets[2]
    assert one.indices.tolist() == again.indices.tolist()
    assert one.indices.tolist() != other.indices.tolist() != plain.indices.tolist()


def test_the_shuffled_order_is_the_same_with_every_version_of_numpy() -> None:
    assert [row.tolist() for row in pack_lengths([5, 5, 5, 5, 5, 5], 5, shuffle_seed=7)] == [[5], [3], [0], [4], [2], [1]]


def test_context_lengths_beyond_sixteen_bits_are_packed() -> None:
    lengths = [200_000, 70_000, 61_072, 131_072, 1]
    assert sorted(sorted(row.tolist()) for row in pack_lengths(lengths, 262_144)) == [[0, 4], [1, 2, 3]]


def test_rows_read_like_a_list() -> None:
    rows = pack_lengths([4, 4, 4], 8)
    assert [row.tolist() for row in rows[:1]] == [rows[0].tolist()]
    assert rows[-1].tolist() == [2]
    with pytest.raises(IndexError):
        rows[2]


def test_nothing_to_pack_is_no_row() -> None:
    assert (len(pack_lengths([], 8)), efficiency(0, 0, 8)) == (0, 0.0)


@pytest.mark.parametrize(
    ("lengths", "limit", "message"),
    [
        ([3, 9], 8, "length 9 at position 1 is outside 1 to 8"),
        ([0], 8, "length 0 at position 0"),
        ([1], 0, "max_length is 0"),
        ([1.5], 8, "whole numbers"),
    ],
)
def test_lengths_that_cannot_be_packed_are_named(lengths: list[int], limit: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        pack_lengths(lengths, limit)
