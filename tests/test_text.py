"""Words, counts and views of a text."""

from __future__ import annotations

import doctest
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gen import text
from gen.types import Message, Sample


def test_the_examples_in_the_docstrings_hold() -> None:
    assert doctest.testmod(text).failed == 0


def test_words_of_ascii_and_other_text_are_cut_alike() -> None:
    assert text.words("It's a well-known FACT.") == ("it's", "a", "well", "known", "fact")
    assert text.words("Das weiß ich – wie’s ist.") == ("das", "weiß", "ich", "wie's", "ist")


def test_han_and_kana_are_words_of_one_character() -> None:
    assert text.words("東京タワー now") == ("東", "京", "タ", "ワ", "ー", "now")


@pytest.mark.parametrize(
    ("sentence", "words"),
    [
        ("", 0),
        ("Paris.", 1),
        ("one two  three\nfour", 4),
        ("今天天气很好。", 3),
        ("สวัสดีครับผม", 3),
        ("Python 是一种语言", 4),
        ("안녕하세요 여러분", 2),
    ],
)
def test_words_are_counted_in_every_script(sentence: str, words: int) -> None:
    assert text.count_words(sentence) == words


def test_tokens_are_estimated_by_script() -> None:
    assert text.estimate_tokens("a" * 400) == 100
    assert text.estimate_tokens("漢" * 100) == 100
    assert text.estimate_tokens("й" * 100) == 50
    assert text.estimate_tokens("") == 0


def test_a_long_text_is_read_at_both_ends() -> None:
    long = "start " + "x" * 100_000 + " finish"
    assert len(text.capped(long)) == text.CAP + 1
    assert text.capped(long).startswith("start")
    assert text.capped(long).endswith("finish")
    assert text.capped("short") == "short"


def test_fences_split_prose_from_code() -> None:
    parts = text.fences("Before\n```python\nx = 1\n```\nAfter")
    assert (parts.prose.split(), parts.code, parts.open) == (["Before", "After"], ("x = 1",), False)


@pytest.mark.parametrize(
    ("body", "open_", "mark"),
    [
        ("```\ncode", True, False),
        ("a\n```\ncode\n```", False, True),
        ("a\n```", True, True),
        ("````\n```\ninner\n```\n````", False, True),
        ("~~~\n```\n~~~\nafter", False, False),
        ("inline ```x``` only", False, False),
    ],
)
def test_an_open_fence_is_known(body: str, open_: bool, mark: bool) -> None:
    parts = text.fences(body)
    assert (parts.open, parts.ends_with_mark) == (open_, mark)


def test_prose_has_no_code_and_no_address() -> None:
    assert text.prose("Run `ls -l` or see https://example.org/a?b=c now").split() == ["Run", "or", "see", "now"]


@pytest.mark.parametrize(
    "code",
    [
        "def f(x):\n    return x + 1",
        "#include <stdio.h>\nint main() {\n    return 0;\n}",
        "SELECT name\nFROM users\nWHERE id = 1;",
        "const x = () => {\n  console.log(1);\n};",
        "#!/bin/sh\nfor f in *.txt; do\n  echo $f;\ndone",
        "```\nanything at all\n```",
    ],
)
def test_code_is_recognised(code: str) -> None:
    assert text.code_share(code) >= 0.6


@pytest.mark.parametrize(
    "prose",
    [
        "For a start, take two eggs.\nWhile they boil, cut the bread.",
        "If you go (and you should), take a coat.",
        "1. Wash.\n2. Rinse.\n3. Repeat.",
        "Return the book to the library. Import duties apply.",
        "The class of 1999 met again.\nFrom there we went home.",
    ],
)
def test_prose_is_not_taken_for_code(prose: str) -> None:
    assert text.code_share(prose) == 0.0


def test_contents_leaves_out_what_is_no_text() -> None:
    sample = Sample("1", (Message("user", "a"), Message("user", None), Message("assistant", "b")))  # type: ignore[arg-type]
    assert text.contents(sample, "user") == ("a",)


def test_shingles_of_a_short_text_are_the_text() -> None:
    assert text.shingles(["a", "b"], 3) == {"a b"}
    assert text.shingles([], 3) == frozenset()


@given(st.text(max_size=300))
def test_no_text_breaks_a_view(body: str) -> None:
    assert text.count_words(body) >= 0
    assert 0 <= text.code_share(body) <= 1
    assert text.normalise(text.normalise(body)) == text.normalise(body) or not body.isascii()
    assert all(word == word.lower() or not word.isascii() for word in text.words(body))
    text.prose(body)
    text.estimate_tokens(body)


def test_two_hundred_thousand_combining_marks_are_normalised_in_no_time() -> None:
    marks = "e" + "\u0301\u0327" * 100_000
    assert len(text.normalise(marks)) > 100_000
    assert len(text.words(marks)) > 0


@given(st.text(st.sampled_from("abZ09_'- .\n"), max_size=200))
def test_words_of_ascii_are_what_the_pattern_finds(written: str) -> None:
    assert list(text.words(written)) == re.findall(r"[a-z0-9_]{1,64}(?:'[a-z]{1,8})?", written.lower())


def test_a_very_long_word_counts_by_pieces() -> None:
    assert text.words("a" * 70 + " b") == ("a" * 64, "a" * 6, "b")


@pytest.mark.parametrize(("written", "letters"), [("", 0), ("a1 B-", 2), ("été 東京 9", 5)])
def test_letters_are_counted_in_any_script(written: str, letters: int) -> None:
    assert text.count_letters(written) == letters


@pytest.mark.parametrize(("written", "longest"), [("", 0), (" \n", 0), ("a bcd\u2003ef", 3)])
def test_the_longest_run_without_white_space(written: str, longest: int) -> None:
    assert text.longest_run(written) == longest
