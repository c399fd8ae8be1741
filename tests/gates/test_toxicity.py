"""A reply that insults, swears or despises is no training; one that writes about such words is."""

from __future__ import annotations

import pytest

from gen.errors import RecipeError
from gen.gates.toxicity import Toxicity
from gen.plugins import build
from gen.types import Message, Sample


def reason(reply: str, prompt: str = "Tell me about dogs.", gate: Toxicity | None = None) -> str:
    return (gate or Toxicity()).check(Sample("s", (Message("user", prompt), Message("assistant", reply)))).reason


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("You are such a stupid idiot.", "insult"),
        ("Figure it out yourself, you pathetic moron.", "insult"),
        ("Just shut up, you loser. Nobody likes you.", "insult"),
        ("This is bullshit and you know it.", "profanity"),
        ("All Muslims are vermin.", "hate"),
    ],
)
def test_each_kind_has_its_reason(reply: str, expected: str) -> None:
    assert reason(reply) == expected


@pytest.mark.parametrize(
    "reply",
    [
        'He shouted "you are an idiot" and left; better stay calm then.',
        "The word bitch is vulgar slang for an unpleasant person, and a term for a female dog.",
        "I like spicy curries from Scunthorpe, and a cockatoo.",
        "You are not stupid: everybody finds the chain rule hard at first.",
        "Dogs are animals, and people are animals too.",
        "Rats are vermin in the law of some towns.",
    ],
)
def test_writing_about_it_is_no_offence(reply: str) -> None:
    assert reason(reply) == ""


def test_only_what_is_asked_for_is_looked_at() -> None:
    assert reason("Sorry to hear that.", prompt="You are a moron.") == ""
    assert reason("Sorry to hear that.", prompt="You are a moron.", gate=Toxicity(on="both")) == "insult"
    assert reason("Damn, what a shit day.", gate=Toxicity(kinds=("insult", "hate"))) == ""
    assert reason("Damn, what a shit day.", gate=Toxicity(most_profane=1)) == ""


def test_the_options_are_checked() -> None:
    with pytest.raises(RecipeError, match="'kinds' is empty"):
        build("gates", "toxicity", {"kinds": ()})
    with pytest.raises(RecipeError, match="count from 0 on"):
        build("gates", "toxicity", {"most_profane": -1})
