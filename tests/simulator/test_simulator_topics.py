"""What the simulator writes about: what is asked about, never another field."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from gen.simulator.asked import read
from gen.simulator.lexicon import PHRASE_KINDS, domains, find_domain
from gen.simulator.options import SimulatorOptions
from gen.simulator.text import write_chat
from gen.simulator.text_instructions import write_instruction
from gen.types import Message

CLEAN = SimulatorOptions(flaws={})


def reply(question: str, system: str = "") -> str:
    messages = [Message("system", system)] if system else []
    return write_chat(CLEAN, [*messages, Message("user", question)], key="k").text


def fields_of(text: str) -> list[str]:
    """The domains of which `text` uses at least three phrases."""
    lowered = text.lower()
    found = {one.name: sum(phrase.lower() in lowered for kind in PHRASE_KINDS for phrase in getattr(one, kind)) for one in domains()}
    return [name for name, count in found.items() if count >= 3]


@pytest.mark.parametrize(
    "question",
    [
        "Formulate 7 interview questions that show whether a privacy officer can prove that data was deleted.",
        "Create a quiz question with four options about the storage limitation principle, and mark the right option.",
        'During a review somebody says: "A deletion job fails." Write down the 4 follow-up questions you would ask.',
    ],
)
def test_questions_that_are_an_answer_are_answered_in_their_own_field(question: str) -> None:
    assert read([Message("user", question)]).kind == "answer"
    assert fields_of(reply(question)) in (["GDPR data retention"], [])


def test_a_list_of_instructions_without_a_topic_keeps_to_what_the_request_speaks_of() -> None:
    assert fields_of(reply("Write 6 questions a controller asks when personal data is due for deletion.")) == ["GDPR data retention"]
    assert fields_of(reply("Write 6 questions.", system="You help a bank with GDPR and data retention.")) == ["GDPR data retention"]
    assert fields_of(reply("Write 6 questions that my neighbour's chess club might ask.")) == []


def test_a_list_that_leaves_the_subject_open_is_about_many() -> None:
    prompt = "Write 4 new tasks, each of another kind and about another subject."
    topics = {name for number in range(12) for name in fields_of(write_chat(CLEAN, [Message("user", prompt)], key=str(number)).text)}
    assert len(topics) >= 4


@pytest.mark.parametrize("topic", ["repairing a bicycle at home", "buying a used car", "renting out a flat"])
def test_a_question_about_a_topic_nobody_knows_is_answered_in_no_other_field(topic: str) -> None:
    """The question names its topic rarely; the system message of the strategies always does."""
    system = f"You are an expert assistant for questions about {topic}. You answer thoroughly."
    strayed = Counter(name for number in range(80) for name in fields_of(reply(write_instruction(topic, Random(number)), system)))
    own = find_domain(topic)
    assert set(strayed) <= {own.name if own else ""}


def test_the_topic_of_a_system_message_ends_where_the_sentence_goes_on() -> None:
    system = "You are a plumber. Somebody asks for your help with a question about first aid, and you answer from your own experience."
    assert read([Message("system", system), Message("user", "What now?")]).topic == "first aid"
    assert read([Message("system", "You are a nurse on a ward."), Message("user", "What now?")]).topic == ""


def test_a_personas_field_does_not_move_a_topic_there() -> None:
    written = " ".join(
        write_instruction("renting out a flat", Random(number), persona="a privacy officer", context="a privacy officer who knows the GDPR")
        for number in range(30)
    )
    assert fields_of(written) == []
