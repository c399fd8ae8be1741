"""How much a text looks like a refusal."""

from __future__ import annotations

import pytest

from gen.patterns import refusals
from gen.patterns.refusals import REFUSED_FROM, goes_on, refusal_weight


@pytest.mark.parametrize(
    "text",
    [
        "I'm sorry, but I can't assist with that.",
        "I’m sorry, but I can’t help with that.",
        "As an AI language model, I cannot do that.",
        "I am unable to fulfill this request.",
        "I won't provide instructions for that.",
        "I'd rather not discuss this topic.",
        "That's not something I can help with.",
        "Unfortunately, this request violates our content policy.",
        "It is not appropriate or ethical to share someone's address without their consent.",
        "I am an AI language model and do not condone or promote violence.",
        "As an AI, I don't have the ability to answer this, and I won't be able to give advice on it.",
        "I lack the expertise to advise on this matter.",
        "I'm not in a position to recommend a course of action here.",
        "It is not possible for me to answer that question.",
        "An opinion on this is beyond my capabilities.",
        "I have been instructed not to discuss this topic.",
    ],
)
def test_english_refusals_weigh_enough(text: str) -> None:
    assert refusal_weight(text) >= REFUSED_FROM


@pytest.mark.parametrize(
    "text",
    [
        "Es tut mir leid, aber ich kann Ihnen dabei nicht helfen.",
        "Je suis désolé, mais je ne peux pas répondre à cette demande.",
        "Lo siento, pero no puedo ayudarte con eso.",
        "Mi dispiace, ma non posso aiutarti con questa richiesta.",
        "Desculpe, mas não posso ajudar com isso.",
        "Het spijt me, maar daar kan ik je niet bij helpen.",
        "Przepraszam, ale nie mogę w tym pomóc.",
        "Извините, но я не могу помочь с этим.",
        "很抱歉，我无法提供这方面的帮助。",
        "申し訳ありませんが、そのご要望にはお応えできません。",
        "죄송하지만 그 요청은 도와드릴 수 없습니다.",
        "Tyvärr kan jag inte hjälpa till med det.",
        "عذرًا، لا أستطيع المساعدة في ذلك.",
    ],
)
def test_refusals_in_other_languages_weigh_enough(text: str) -> None:
    assert refusal_weight(text) >= REFUSED_FROM


@pytest.mark.parametrize(
    "text",
    [
        "",
        "I don't know the answer to that.",
        "I'm not sure; the sources disagree on the year.",
        "I'm sorry to hear about your loss. Here is what you can do next.",
        "I can't sleep at night, whispered the knight.",
        "You can't divide by zero.",
        "I could not help but smile when the curtain rose.",
        "Fraud is an illegal act of deception that is meant to bring a gain.",
        "Frodo has no driver's licence; he is a fictional character.",
        "The beam cannot support the load, so use a stronger one.",
        "I do not have access to live data, so I cannot tell you today's price.",
        "Rocks don't have the ability to answer questions.",
        "I don't have the ability to see your screen, but the usual fix is to restart the router.",
        "She said she won't be able to give a lecture tomorrow.",
        "Details are beyond the scope of this article; see chapter 4.",
        "Ich weiß es leider nicht.",
    ],
)
def test_answers_weigh_too_little(text: str) -> None:
    assert refusal_weight(text) < REFUSED_FROM


def test_going_on_means_steps_or_length() -> None:
    assert goes_on("I can't say that. But you may:\n1. Wait.\n2. Call.")
    assert not goes_on("I can't say that.")


def alternatives(pattern: str) -> list[str]:
    """The alternatives of a pattern, those inside brackets left together."""
    found, depth = [""], 0
    for character in pattern:
        depth += (character == "(") - (character == ")")
        if character == "|" and depth == 0:
            found.append("")
        else:
            found[-1] += character
    return found


def test_every_trigger_holds_one_of_the_parts_that_are_looked_for_first() -> None:
    for alternative in alternatives(refusals._TRIGGER.pattern):
        assert any(part in alternative for part in refusals._TRIGGER_PARTS), alternative
    for alternative in alternatives(refusals._OTHER_TRIGGER.pattern):
        assert not alternative.isascii() or any(part in alternative for part in refusals._OTHER_ASCII_PARTS), alternative
