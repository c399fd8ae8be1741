"""The gate `exact_dup`."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gen.errors import RecipeError
from gen.gates.exact_dup import MAX_CHARS, ExactDup
from gen.plugins import build
from gen.types import Message, Sample


def asked(name: str, instruction: str, reply: str = "Fine.") -> Sample:
    return Sample(name, (Message("user", instruction), Message("assistant", reply)))


@pytest.mark.parametrize("again", ["Sort a list.", "sort A list.", " Sort\n a\tlist. ", "So\u200brt a list.", "Ｓort a list."])
def test_the_same_text_again_is_an_exact_duplicate(again: str) -> None:
    gate = ExactDup()
    gate.remember(asked("s-1", "Sort a list."))
    verdict = gate.check(asked("s-2", again, "Another reply."))
    assert (verdict.keep, verdict.gate, verdict.reason) == (False, "exact_dup", "exact_duplicate")
    assert "s-1" in verdict.detail


def test_other_words_or_punctuation_are_no_exact_duplicate() -> None:
    gate = ExactDup()
    gate.remember(asked("s-1", "Sort a list."))
    assert gate.check(asked("s-2", "Sort a list")).keep
    assert gate.check(asked("s-3", "Sort the list.")).keep


@pytest.mark.parametrize(("on", "kept"), [("instruction", (False, True)), ("reply", (True, False)), ("both", (True, True))])
def test_on_says_what_is_compared(on: str, kept: tuple[bool, bool]) -> None:
    gate = build("gates", "exact_dup", {"on": on})
    gate.remember(asked("s-1", "Question", "Answer"))
    assert gate.check(asked("s-2", "Question", "Other")).keep is kept[0]
    assert gate.check(asked("s-3", "Other", "Answer")).keep is kept[1]
    assert not gate.check(asked("s-4", "Question", "Answer")).keep


def test_an_unknown_part_is_an_error() -> None:
    with pytest.raises(RecipeError, match="'instruction', 'reply' or 'both'"):
        build("gates", "exact_dup", {"on": "system"})


def test_the_first_of_several_is_named() -> None:
    gate = ExactDup()
    for name in ("s-1", "s-2"):
        gate.remember(asked(name, "Sort a list."))
    assert "s-1" in gate.check(asked("s-3", "Sort a list.")).detail


def test_long_texts_that_differ_at_their_end_are_two() -> None:
    gate = ExactDup()
    gate.remember(asked("s-1", "a" * MAX_CHARS + "b"))
    assert gate.check(asked("s-2", "a" * MAX_CHARS + "c")).keep


@given(st.text(), st.text())
def test_checking_changes_nothing_and_a_remembered_text_is_a_duplicate_of_itself(one: str, other: str) -> None:
    gate = ExactDup()
    gate.remember(asked("s-1", one))
    first = gate.check(asked("s-2", other))
    assert gate.check(asked("s-2", other)) == first
    assert not gate.check(asked("s-3", one)).keep
