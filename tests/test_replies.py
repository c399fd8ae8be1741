from __future__ import annotations

import json

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


LOOPS = [
    pytest.param('{"instruction": "X nobody follows. {"instruction": "X nobody follows. {"instr', id="an object, cut off"),
    pytest.param('{"instruction": "X nobody follows. {"instruction": "X nobody follows."}', id="an object, closed"),
    pytest.param(
        '{"instructions": ["Explain it to an insurer. {"instructions": ["Explain it to an insurer. {"instructions": [', id="a list"
    ),
    pytest.param('{"instructions": ["Explain it to an insurer. {"instructions": [', id="a list, cut off early"),
    pytest.param('[{"instruction": "X nobody follows. {"instruction": "X nobody', id="objects"),
    pytest.param('["Explain it. ["Explain it. [', id="a bare list"),
]


@pytest.mark.parametrize("text", LOOPS)
def test_a_reply_that_begins_itself_again_within_a_string_is_unreadable(text: str) -> None:
    assert parse_json(text) is None
    assert parse_list(text) == []


def test_an_instruction_that_talks_about_json_is_left_alone() -> None:
    about = 'Answer as {"instruction": "…"} and nothing else; an empty list ends in ['
    assert parse_json(json.dumps({"instruction": about})) == {"instruction": about}
    assert parse_list(json.dumps({"instructions": [about]})) == [about]


def test_a_repaired_list_of_objects_is_no_loop() -> None:
    assert parse_list('[{"instruction": "a one"}, {"instruction": "b two",},]') == ["a one", "b two"]
