from __future__ import annotations

import pytest

from gen.replies import MAX_CHARACTERS, parse_json, parse_list


@pytest.mark.parametrize(
    "text",
    [
        pytest.param('{"instructions": ["a one", "b two"]}', id="as asked"),
        pytest.param('["a one", "b two"]', id="a bare list"),
        pytest.param('```json\n{"instructions": ["a one", "b two"]}\n```', id="fenced"),
        pytest.param('Here you are:\n{"instructions": ["a one", "b two"]}\nEnjoy!', id="prose around"),
        pytest.param("{'instructions': ['a one', 'b two',],}", id="single quotes and trailing commas"),
        pytest.param('{"questions": ["a one", "b two"]}', id="another key"),
        pytest.param('[{"instruction": "a one"}, {"question": "b two"}]', id="objects"),
        pytest.param("1. a one\n2. b two", id="numbered"),
        pytest.param("Sure:\n- a one\n- b two", id="bulleted"),
        pytest.param("1) a one\n2) b two\n", id="bracketed numbers"),
        pytest.param('{"instructions": ["a one", "b two"', id="cut off after the last string"),
    ],
)
def test_a_list_is_read_however_it_was_written(text: str) -> None:
    assert parse_list(text) == ["a one", "b two"]


@pytest.mark.parametrize(
    "text", ["", "I'm sorry, but no.", "42", "null", "{}", "[]", '{"a": [1], "b": [2]}', "x" * (MAX_CHARACTERS + 1), "[" * 50_000]
)
def test_what_is_no_list_is_empty(text: str) -> None:
    assert parse_list(text) == []


@pytest.mark.parametrize("text", ["3", '"a"', "true", "", "no"])
def test_a_bare_value_is_no_structured_reply(text: str) -> None:
    assert parse_json(text) is None


def test_an_object_is_read_out_of_prose() -> None:
    assert parse_json('My verdict: {"score": 4, "reason": "fine"} as asked') == {"score": 4, "reason": "fine"}
