"""The gate `novelty`."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gen.errors import RecipeError
from gen.gates.novelty import Novelty
from gen.plugins import build
from gen.types import Message, Provenance, Sample


def asked(name: str, instruction: str, topic: str = "") -> Sample:
    return Sample(name, (Message("user", instruction), Message("assistant", "Fine.")), provenance=Provenance(topic=topic))


def test_an_instruction_too_close_to_an_accepted_one_is_not_novel() -> None:
    gate = Novelty()
    gate.remember(asked("s-1", "Bake a cake for ten people"))
    gate.remember(asked("s-2", "Write a short poem about rain"))
    verdict = gate.check(asked("s-3", "Write a short poem about snow"))
    assert (verdict.keep, verdict.gate, verdict.reason) == (False, "novelty", "not_novel")
    assert verdict.detail == "ROUGE-L 0.83 with s-2, must be below 0.7"


def test_the_bound_itself_is_rejected() -> None:
    gate = Novelty(threshold=0.5)
    gate.remember(asked("s-1", "one two three four"))
    assert not gate.check(asked("s-2", "one two five six")).keep
    assert gate.check(asked("s-3", "one seven five six")).keep


def test_other_topics_count_only_within_all() -> None:
    for within, kept in (("topic", True), ("all", False)):
        gate = build("gates", "novelty", {"within": within})
        gate.remember(asked("s-1", "Write a short poem about rain", topic="weather"))
        assert gate.check(asked("s-2", "Write a short poem about rain", topic="poetry")).keep is kept
        assert not gate.check(asked("s-3", "Write a short poem about rain", topic="weather")).keep


def test_the_reply_does_not_count() -> None:
    gate = Novelty()
    gate.remember(asked("s-1", "Name a river"))
    assert gate.check(asked("s-2", "Add two and five together")).keep


@pytest.mark.parametrize("options", [{"threshold": 0}, {"threshold": 1.1}, {"within": "run"}])
def test_options_out_of_bounds_are_errors(options: dict[str, object]) -> None:
    with pytest.raises(RecipeError):
        build("gates", "novelty", options)


@given(st.text(), st.text())
def test_checking_changes_nothing_and_a_remembered_text_is_not_novel(one: str, other: str) -> None:
    gate = Novelty()
    gate.remember(asked("s-1", one))
    first = gate.check(asked("s-2", other, topic="unseen"))
    assert gate.check(asked("s-2", other, topic="unseen")) == first
    assert not gate.check(asked("s-3", one)).keep
