"""The truncation gate."""

from __future__ import annotations

import doctest
from typing import Any

import pytest

from gen.errors import RecipeError
from gen.gates import truncation
from gen.plugins import build
from gen.types import Message, Provenance, Sample

PROSE = "Bread needs flour, water, salt and a little yeast. Knead the dough for ten minutes until it is smooth"


def reason(reply: str, finish: str = "", **options: Any) -> str:
    sample = Sample("1", (Message("user", "Go on."), Message("assistant", reply)), provenance=Provenance(finish_reason=finish))
    return str(build("gates", "truncation", options).check(sample).reason)


def test_the_example_in_the_docstring_holds() -> None:
    assert doctest.testmod(truncation).failed == 0


def test_what_the_api_said_goes_first() -> None:
    assert reason("All is well.", finish="length") == "cut_off"
    assert reason("All is well.", finish="stop") == ""


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (PROSE, "unfinished_sentence"),
        (f"{PROSE},", "unfinished_sentence"),
        (f"{PROSE}. Here is what you need:", "unfinished_sentence"),
        ("He wanted to see the", "unfinished_sentence"),
        (f"1. {PROSE}.\n2. Bake it well.\n3.", "unfinished_sentence"),
        (f"First: 1) {PROSE}. 2) Bake it until it is brown. 3", "unfinished_sentence"),
        (f"1. {PROSE}", "unfinished_sentence"),
        ("Use this:\n```python\nx = 1", "unclosed_fence"),
        ("def f(x):\n    y = g(x)\n    return max(y,", "unclosed_bracket"),
        ("function f() {\n  const a = 1;\n  return a;", "unclosed_bracket"),
        ('{"name": "x", "items": [1, 2', "unclosed_bracket"),
        ("import os\nif os.name:", "unfinished_sentence"),
    ],
)
def test_what_stops_too_early_is_rejected(reply: str, code: str) -> None:
    assert reason(reply) == code


@pytest.mark.parametrize(
    "reply",
    [
        f"{PROSE}.",
        f"{PROSE}!",
        f"{PROSE}.)",
        f"{PROSE} 🎉",
        f"{PROSE}. See you there! #baking",
        "Paris",
        "The World We Live In",
        "",
        "- flour and water for the dough\n- salt as much as you like\n- yeast\n- a warm place and some time to rest well",
        "1. Flour\n2. Water\n3. Salt\n4. Yeast",
        "| a | b |\n|---|---|\n| 1 | 2 |",
        "She has 3 apples and he has 4 apples, which makes 3 + 4 = 7 apples.\n#### 7",
        "def f(x):\n    return x + 1",
        "```python\nprint('(')\n```",
        "const smile = ':(';\nconsole.log(smile);",
        "find . -type f -name '*.log' -exec rm -f {} +",
        '{"a": [1, 2, {"b": "["}]}',
        '"The best way to predict the future is to create it." - Abraham Lincoln',
        f"{PROSE}.\n\nYours sincerely,\nDr. Jane Goodall",
        f"{PROSE}. Warm regards, Jane of the North",
        "Roses are red\nViolets are blue\nSugar is sweet\nAnd so are you my dear",
        "วันนี้อากาศดีมากเราจะไปเดินเล่นที่สวนสาธารณะแล้วกลับบ้านไปทำอาหารเย็นด้วยกันกับครอบครัว",
        "今天的天气非常好，我们一起去公园散步，然后去吃午饭，晚上再一起看电影。",
        "आज मौसम बहुत अच्छा है और हम सब मिलकर पार्क में टहलने जाएंगे और फिर खाना खाएंगे।",
    ],
)
def test_what_is_finished_is_kept(reply: str) -> None:
    assert reason(reply) == ""


def test_the_shortest_prose_that_needs_an_end_can_be_set() -> None:
    assert reason("We met and then we went home together", min_words=30) == ""
    assert reason("We met and then we went home together", min_words=5) == "unfinished_sentence"
    with pytest.raises(RecipeError):
        build("gates", "truncation", {"min_words": 0})
