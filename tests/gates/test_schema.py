"""The schema gate."""

from __future__ import annotations

import doctest
from typing import Any

import pytest

from gen.gates import schema
from gen.plugins import build
from gen.types import Message, Sample


def reason(*turns: tuple[Any, Any]) -> str:
    return str(build("gates", "schema", {}).check(Sample("1", tuple(Message(role, content) for role, content in turns))).reason)


S, U, A, T = ("system", "s"), ("user", "u"), ("assistant", "a"), ("tool", "t")


def test_the_example_in_the_docstring_holds() -> None:
    assert doctest.testmod(schema).failed == 0


@pytest.mark.parametrize("turns", [(U, A), (S, U, A), (U, A, U, A), (U, A, T, A), (S, U, A, T, T, A, U, A)])
def test_whole_conversations_are_kept(turns: tuple[tuple[str, str], ...]) -> None:
    assert reason(*turns) == ""


@pytest.mark.parametrize(
    ("turns", "code"),
    [
        ((), "no_messages"),
        ((("human", "u"), A), "unknown_role"),
        (((None, "u"), A), "unknown_role"),
        ((U, S, A), "system_not_first"),
        ((S, S, U, A), "system_not_first"),
        ((S, A), "no_user_turn"),
        ((U, U, A), "roles_do_not_alternate"),
        ((A, U, A), "roles_do_not_alternate"),
        ((U, T, A), "roles_do_not_alternate"),
        ((U, A, A), "roles_do_not_alternate"),
        ((U, A, U), "last_not_assistant"),
        ((U, A, T), "last_not_assistant"),
        ((U, ("assistant", "")), "empty_content"),
        ((("user", " \n"), A), "empty_content"),
        ((("system", "\u3000"), U, A), "empty_content"),
        ((U, ("assistant", None)), "invalid_text"),
        ((U, ("assistant", ["a"])), "invalid_text"),
        ((U, ("assistant", "a\x00b")), "invalid_text"),
        ((U, ("assistant", "a\ud800b")), "invalid_text"),
    ],
)
def test_what_is_no_conversation_is_rejected(turns: tuple[tuple[Any, Any], ...], code: str) -> None:
    assert reason(*turns) == code


def test_the_detail_names_the_place() -> None:
    verdict = build("gates", "schema", {}).check(Sample("1", (Message("user", "u"), Message("assistant", "ab\ud83d"))))
    assert verdict.detail == "message 2 (assistant): U+D83D at character 2"
