"""The part of a conversation that a gate compares."""

from __future__ import annotations

import pytest

from gen.turns import On, part
from gen.types import Message, Sample

TALK = Sample(
    "s", (Message("system", "S"), Message("user", "U1"), Message("assistant", "A1"), Message("user", "U2"), Message("assistant", "A2"))
)


@pytest.mark.parametrize(("on", "text"), [("instruction", "U1\n\nU2"), ("reply", "A1\n\nA2"), ("both", "U1\n\nA1\n\nU2\n\nA2")])
def test_a_part_is_all_turns_of_its_roles(on: On, text: str) -> None:
    assert part(TALK, on) == text


def test_no_turn_is_no_text() -> None:
    assert part(Sample("s", ()), "both") == ""
