"""The repetition gate."""

from __future__ import annotations

import doctest
import random
from typing import Any

import pytest

from gen.errors import RecipeError
from gen.gates import repetition
from gen.plugins import build
from gen.types import Message, Sample


def reason(reply: str, **options: Any) -> str:
    return str(build("gates", "repetition", options).check(Sample("1", (Message("user", "Go."), Message("assistant", reply)))).reason)


def test_the_example_in_the_docstring_holds() -> None:
    assert doctest.testmod(repetition).failed == 0


NUMBERS = " ".join(str(random.Random(1).randrange(4)) for _ in range(2000))


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        ("Aaaaaaaaaaaaaaaaaaaaaaargh", "repeated_characters"),
        ("no no no no no no no no", "repeated_words"),
        ("Buy now.\nIt is cheap.\n" + "Buy now.\n" * 6, "repeated_lines"),
        ("The cat sat on the mat and looked at me. " * 8, "repeated_ngrams"),
        ("A fine day it was. " + "And then he said that she said that " * 12, "repeated_ngrams"),
        (NUMBERS, "compresses_too_well"),
    ],
)
def test_loops_are_rejected(reply: str, code: str) -> None:
    assert reason(reply, min_compression=0.3) == code


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "Paris.",
        "It was very, very, very good.",
        "哈哈哈哈哈哈哈哈，真好笑。",
        "-" * 70 + "\nTitle\n" + "=" * 70,
        "He has 2 * 3 = <<2*3=6>>6 pears.\nShe has 6 * 2 = <<6*2=12>>12 apples.\nThey have 6 + 12 = <<6+12=18>>18 apples.\nA: 18",
        "if (a) {\n  f();\n}\nif (b) {\n  g();\n}\nif (c) {\n  h();\n}",
        "Ten green bottles hanging on the wall.\nTen green bottles hanging on the wall.\nAnd if one green bottle should by chance fall,\n"
        "There would be nine green bottles hanging on the wall.",
        "|1|7|5|2|4|6|9|8|3|\n|9|2|8|1|5|3|7|6|4|\n|8|3|4|6|7|1|9|2|5|\n|2|9|1|5|3|8|3|7|6|",
    ],
)
def test_what_rightly_repeats_is_kept(reply: str) -> None:
    assert reason(reply) == ""


def test_tolerance_loosens_the_n_gram_rules() -> None:
    text = "The cat sat on the mat and looked at me. " * 8
    assert reason(text, tolerance=100) == "compresses_too_well"
    assert reason(text, tolerance=100, min_compression=0) == ""


@pytest.mark.parametrize("options", [{"tolerance": 0}, {"min_compression": 1}, {"max_duplicate_lines": 0}, {"min_words": 0}])
def test_senseless_options_are_an_error_of_the_recipe(options: dict[str, Any]) -> None:
    with pytest.raises(RecipeError):
        build("gates", "repetition", options)


@pytest.mark.parametrize("offset", range(5))
def test_sixteen_of_one_character_are_found_wherever_they_begin(offset: int) -> None:
    assert reason("x" + "ab" * 3 + "." * offset + "z" * 16 + " and on.") == "repeated_characters"
