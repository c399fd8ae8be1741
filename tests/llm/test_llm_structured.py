from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel

from gen.llm.structured import Unreadable, parse_json


class Opinion(BaseModel):
    score: int
    reason: str = ""


@pytest.mark.parametrize(
    "text",
    [
        '{"score": 4}',
        'Here you are:\n```json\n{"score": 4}\n```\nAnything else?',
        'My opinion: {"score": 4} – as asked.',
        '{"score": 4,}',
        "{'score': 4}",
        '{"score": 4',
        '{score: 4, "reason": "unfinished',
    ],
)
def test_what_models_write_is_read(text: str) -> None:
    opinion = parse_json(text, Opinion)
    assert isinstance(opinion, Opinion)
    assert opinion.score == 4


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no_json"),
        ("I give it four points.", "no_json"),
        ("4", "no_json"),
        ('{"score": "four"}', "wrong_shape"),
        ('{"points": 4}', "wrong_shape"),
        ("[1, 2]", "wrong_shape"),
        ("{}", "wrong_shape"),
        ("{" * 300_000, "no_json"),
        ("[" * 100_000, "broken_json"),
    ],
)
def test_what_cannot_be_read_says_why(text: str, reason: str) -> None:
    found = parse_json(text, Opinion)
    assert isinstance(found, Unreadable)
    assert found.reason == reason


def test_a_wrong_shape_names_the_place_but_not_the_text() -> None:
    found: Any = parse_json('{"score": "a secret"}', Opinion)
    assert found.detail.startswith("score: ")
    assert "secret" not in found.detail


def test_lists_are_read_too() -> None:
    assert parse_json('1. ["a", "b",]', list[str]) == ["a", "b"]
    assert parse_json('["a"]', list[str]) == ["a"]


def test_a_reply_that_loops_is_no_value() -> None:
    found = parse_json('{"reason": "Fine. {"reason": "Fine. {"reason": "Fi', dict[str, str])
    assert isinstance(found, Unreadable)
    assert found.reason == "broken_json"
