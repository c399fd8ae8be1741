"""Answers that contradict each other are named, and a person decides."""

from __future__ import annotations

import pytest

from gen.gates.conflict import Conflict
from gen.likeness.stance import contradict, stance, unpack
from gen.pipeline import NamedGate
from gen.types import Message, Sample

QUESTION = "How long must records of a complaint be kept?"


def answered(question: str, answer: str, name: str = "s-2", system: str = "") -> Sample:
    lead = (Message("system", system),) if system else ()
    return Sample(name, (*lead, Message("user", question), Message("assistant", answer)))


def reason(question: str, one: str, other: str, asked_again: str = "") -> str:
    gate = Conflict()
    gate.remember(answered(question, one, "s-1"))
    return gate.check(answered(asked_again or question, other)).reason


@pytest.mark.parametrize(
    ("question", "one", "other", "expected"),
    [
        (QUESTION, "They are kept for 6 years.", "For 10 years after the case was closed.", "number_conflict"),
        ("Is 91 a prime number?", "Yes, it has no divisors.", "No, 7 divides it.", "polarity_conflict"),
        ("Which gas is it?\nA) helium\nB) neon", "B) neon", "A) helium", "choice_conflict"),
        ("Which gas is it?\nA) helium\nB) neon", "The answer is A.", "Option B, since it glows.", "choice_conflict"),
        ("Is tea or coffee the stronger drink?", "Coffee, by far.", "Tea is the stronger one.", "choice_conflict"),
        ("May staff accept gifts?", "Staff may accept gifts.", "Staff may not accept gifts.", "negation_conflict"),
        ("What is the capital of Australia?", "Canberra.", "Sydney", "answer_conflict"),
    ],
)
def test_answers_that_cannot_both_be_right_are_named(question: str, one: str, other: str, expected: str) -> None:
    assert reason(question, one, other) == expected
    assert reason(question, other, one) == expected


@pytest.mark.parametrize(
    ("question", "one", "other"),
    [
        (QUESTION, "For 6 years.", "Six years, that is 6 in all; 5 were enough until 2019."),
        ("Is 7 prime?", "Yes, it is.", "Yes: only 1 and 7 divide it."),
        ("What is a good name for a cat?", "Tiger", "Minka"),
        ("Name a colour.", "Red.", "Blue."),
        ("Which is it, A or B?", "A dog barked outside the house.", "B) of course"),
        ("Write a haiku about rain.", "Soft rain on the roof", "A grey morning sings"),
        ("What is the capital of Australia?", "Canberra.", "Canberra, Australia."),
        ("Is tea or coffee stronger?", "Tea and coffee are much alike.", "Coffee."),
    ],
)
def test_answers_that_may_both_be_right_are_not(question: str, one: str, other: str) -> None:
    assert reason(question, one, other) == ""


def test_the_question_may_be_worded_otherwise_but_must_be_the_same() -> None:
    one, other = "They are kept for 6 years.", "They are kept for 10 years."
    assert reason(QUESTION, one, other, "Please tell me: how long must the records of a complaint be kept?") == "number_conflict"
    assert reason(QUESTION, one, other, "How long must records of a loan be kept?") == ""
    assert reason("What is 12 times 12?", "144.", "169.", "What is 13 times 13?") == ""


def test_what_the_system_says_belongs_to_the_question() -> None:
    gate = Conflict()
    gate.remember(answered(QUESTION, "For 6 years.", "s-1", system="You know the law of France."))
    assert gate.check(answered(QUESTION, "For 10 years.", system="You know the law of Japan.")).keep
    assert not gate.check(answered(QUESTION, "For 10 years.", system="You know the law of France.")).keep


def test_it_warns_unless_told_to_reject() -> None:
    gate = Conflict()
    gate.remember(answered(QUESTION, "For 6 years.", "s-1"))
    sample = answered(QUESTION, "For 10 years.")
    warned = NamedGate("conflict", gate).check(sample)
    assert (warned.keep, warned.reason) == (True, "number_conflict")
    assert "s-1" in warned.detail
    assert not NamedGate("conflict", gate, warn=False).check(sample).keep


def test_a_threshold_is_a_share() -> None:
    with pytest.raises(ValueError, match="share of words"):
        Conflict(threshold=0)


def test_a_stance_survives_packing() -> None:
    for text in ("Yes, 4 of 12.", "B) neon", "Not at all.", "Canberra", ""):
        said = stance("What is it, or is it?", text)
        assert unpack(said.pack()) == said


def test_a_claim_and_its_denial_contradict_each_other_whatever_the_order() -> None:
    one, other = (stance("Is it safe?", text) for text in ("It is safe to eat.", "It isn't safe to eat."))
    assert contradict(one, other) == contradict(other, one) == "negation"
