"""ROUGE-L against its definition."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gen.likeness.rouge import coded, nearest, nearest_coded, rouge_l

sentences = st.lists(st.sampled_from(["red", "green", "blue", "black", "white"]), min_size=1, max_size=12)


def by_definition(one: list[str], other: list[str]) -> float:
    row = [0] * (len(other) + 1)
    for word in one:
        previous = list(row)
        for column, other_word in enumerate(other, 1):
            row[column] = previous[column - 1] + 1 if word == other_word else max(previous[column], row[column - 1])
    return 2 * row[-1] / (len(one) + len(other))


@given(sentences, sentences)
def test_rouge_l_is_the_f_measure_of_the_longest_common_subsequence(one: list[str], other: list[str]) -> None:
    assert rouge_l(" ".join(one), " ".join(other)) == pytest.approx(by_definition(one, other))


@given(sentences, st.lists(sentences, max_size=8))
def test_the_nearest_is_the_first_with_the_highest_value(one: list[str], others: list[list[str]]) -> None:
    values = [by_definition(one, other) for other in others]
    position, value = nearest(" ".join(one), [" ".join(other) for other in others])
    if not others:
        assert (position, value) == (-1, 0.0)
    else:
        assert value == pytest.approx(max(values))
        assert values[position] == pytest.approx(max(values))


def test_case_punctuation_and_space_do_not_count() -> None:
    assert rouge_l("Sort a list, please!", "sort  A list\nplease") == 1.0


def test_han_counts_by_character() -> None:
    assert rouge_l("东京是首都", "北京是首都") == pytest.approx(0.8)


@pytest.mark.parametrize(
    ("one", "other", "value"), [("", "", 1.0), ("", "word", 0.0), ("😀", "😀", 1.0), ("😀", "###", 0.0), ("\ud800", "\ud800", 1.0)]
)
def test_texts_without_words(one: str, other: str, value: float) -> None:
    assert rouge_l(one, other) == value


def test_none_is_near_enough() -> None:
    assert nearest_coded(coded("bake bread"), [coded("sort numbers")], at_least=0.7) == (-1, 0.0)
