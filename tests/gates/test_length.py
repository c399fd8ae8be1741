"""The length gate."""

from __future__ import annotations

import doctest
from typing import Any

import pytest

from gen.errors import RecipeError
from gen.gates import length
from gen.plugins import build
from gen.types import Message, Sample


def verdict(reply: str, prompt: str = "Capital of France?", **options: Any) -> Any:
    return build("gates", "length", options).check(Sample("1", (Message("user", prompt), Message("assistant", reply))))


def test_the_example_in_the_docstring_holds() -> None:
    assert doctest.testmod(length).failed == 0


def test_a_rightly_short_answer_passes_by_default() -> None:
    assert verdict("Paris.").keep
    assert verdict("C").keep


@pytest.mark.parametrize(
    ("reply", "options", "code"),
    [
        ("", {}, "too_short"),
        ("one two three", {"min_words": 4}, "too_short"),
        ("one two three", {"min_characters": 20}, "too_short"),
        ("one two three", {"max_words": 2}, "too_long"),
        ("one two three", {"max_characters": 5}, "too_long"),
        ("word " * 4001, {}, "too_long"),
        ("x" * 40_001, {}, "too_long"),
        ("word " * 600, {"preset": "textbook"}, "too_long"),
        ("word " * 12, {"preset": "course"}, "too_short"),
        ("word " * 100, {"max_tokens": 50}, "too_many_tokens"),
    ],
)
def test_replies_out_of_bounds_are_rejected(reply: str, options: dict[str, Any], code: str) -> None:
    assert verdict(reply, **options).reason == code


@pytest.mark.parametrize(
    ("prompt", "options", "code"),
    [
        ("", {}, "prompt_too_short"),
        ("Why?", {"min_prompt_words": 3}, "prompt_too_short"),
        ("Why is that so?", {"max_prompt_words": 3}, "prompt_too_long"),
        ("Why is that so?", {"max_prompt_characters": 10}, "prompt_too_long"),
    ],
)
def test_prompts_out_of_bounds_are_rejected(prompt: str, options: dict[str, Any], code: str) -> None:
    assert verdict("Because.", prompt, **options).reason == code


def test_words_given_go_before_the_preset() -> None:
    assert verdict("word " * 12, preset="course", min_words=5).keep


def test_chinese_is_counted_by_characters() -> None:
    assert verdict("今天的天气非常好，我们一起去公园散步吧。", min_words=8).keep
    assert verdict("今天好", min_words=8).detail == "reply: 2 words, minimum 8"


def test_every_reply_counts_but_only_the_first_prompt_has_a_minimum() -> None:
    turns = (
        Message("user", "Tell me more about it"),
        Message("assistant", "Certainly, here it is."),
        Message("user", "ok"),
        Message("assistant", "Yes"),
    )
    assert build("gates", "length", {"min_prompt_words": 3}).check(Sample("1", turns)).keep
    assert build("gates", "length", {"min_words": 3}).check(Sample("1", turns)).reason == "too_short"


@pytest.mark.parametrize("options", [{"min_words": 10, "max_words": 5}, {"min_prompt_words": -1}, {"preset": "novel"}, {"max_tokens": 0}])
def test_impossible_bounds_are_an_error_of_the_recipe(options: dict[str, Any]) -> None:
    with pytest.raises(RecipeError):
        build("gates", "length", options)


def test_five_megabytes_are_no_trouble() -> None:
    assert verdict("wort " * 1_000_000).reason == "too_long"


def test_tokens_may_be_bounded_for_each_role() -> None:
    sample = Sample("s", (Message("user", "What is a lease? " * 40), Message("assistant", "A contract about a flat. " * 40)))
    assert length.Length().check(sample).keep
    assert length.Length(max_prompt_tokens=100).check(sample).detail.startswith("prompt: about ")
    assert length.Length(max_reply_tokens=100).check(sample).detail.startswith("reply: about ")
    assert length.Length(max_prompt_tokens=400, max_reply_tokens=400).check(sample).keep
    with pytest.raises(ValueError, match="prompt_tokens"):
        length.Length(max_prompt_tokens=0)
