"""What the simulator writes when nothing goes wrong: instructions, answers, rewrites, continuations of raw prompts."""

from __future__ import annotations

import json
import re
from random import Random

import pytest
from rapidfuzz.distance import LCSseq

from gen.simulator.options import SimulatorOptions
from gen.simulator.text import write_chat, write_completion
from gen.simulator.text_code import snippets
from gen.simulator.text_instructions import write_instruction
from gen.types import Message

CLEAN = SimulatorOptions(flaws={})
QUESTION = "How should a privacy officer handle erasure requests from former customers when a backup still holds records?"


def reply(prompt: str, *, key: str = "k", system: str = "") -> str:
    messages = [Message("system", system)] if system else []
    return write_chat(CLEAN, [*messages, Message("user", prompt)], key=key).text


def numbered(text: str) -> list[str]:
    return re.findall(r"^\d+\. (.+)$", text, re.M)


@pytest.mark.parametrize(
    "topic",
    [
        "GDPR data retention requirements",
        "PSD2 strong customer authentication",
        "Basel III capital requirements",
        "customer support",
        "Python",
    ],
)
def test_most_of_200_instructions_about_one_topic_are_new(topic: str) -> None:
    """ROUGE-L below 0.7 against everything kept before, the bound of Self-Instruct."""
    kept: list[list[str]] = []
    for number in range(200):
        words = re.findall(r"\w+", write_instruction(topic, Random(f"{topic} {number}")).lower())
        if all(2 * LCSseq.similarity(words, other) < 0.7 * (len(words) + len(other)) for other in kept):
            kept.append(words)
    assert len(kept) >= 170


def test_most_of_200_instructions_share_few_word_triples() -> None:
    """Jaccard over sets of word 3-grams, what a MinHash gate with threshold 0.7 estimates."""
    kept: list[set[tuple[str, ...]]] = []
    for number in range(200):
        words = re.findall(r"\w+", write_instruction("AML and KYC verification", Random(number)).lower())
        triples = set(zip(words, words[1:], words[2:], strict=False))
        if all(len(triples & other) < 0.7 * len(triples | other) for other in kept):
            kept.append(triples)
    assert len(kept) >= 190


@pytest.mark.parametrize("count", [1, 2, 7, 20])
def test_as_many_instructions_come_as_were_asked_for(count: int) -> None:
    noun = "question" if count == 1 else "questions"
    found = json.loads(reply(f'Write {count} new {noun} about tea ceremonies. Reply with JSON only: {{"instructions": ["…"]}}'))
    assert list(found) == ["instructions"]
    assert len(set(found["instructions"])) == count


def test_a_list_without_json_is_numbered_and_one_per_line_where_told() -> None:
    assert len(numbered(reply("Come up with five tasks about gardening."))) == 5
    lines = reply("Come up with five tasks about gardening, one per line, without numbers.").split("\n")
    assert len(lines) == 5
    assert not numbered("\n".join(lines))


def test_instructions_are_about_the_topic_even_when_nobody_knows_it() -> None:
    items = numbered(reply("Generate 12 diverse questions about the restoration of harpsichords."))
    assert len(items) == 12
    assert sum("harpsichords" in item for item in items) >= 4


def test_a_persona_shows_in_the_instructions() -> None:
    items = numbered(
        reply("Persona: beekeeper in the Alps, who dislikes paperwork\n\nWrite 10 questions about taxes that this person would ask.")
    )
    assert len(items) == 10
    assert sum("a beekeeper in the Alps" in item for item in items) >= 4


def test_examples_in_a_prompt_do_not_decide_what_is_asked() -> None:
    prompt = "Write 3 new tasks about travel.\n\nExamples:\n1. Rate this answer from 1 to 10.\n2. Rewrite the prompt. Reply yes or no."
    assert len(numbered(reply(prompt))) == 3


def test_an_answer_is_fluent_and_takes_up_the_question() -> None:
    for number in range(30):
        text = reply(QUESTION, key=str(number))
        assert len(text.split()) >= 20
        assert text[-1] in ".!?"
        assert any(word in text.lower() for word in ("erasure", "backup", "privacy officer", "former customers"))


def test_answers_to_one_question_differ() -> None:
    assert len({reply(QUESTION, key=str(number)) for number in range(40)}) == 40


@pytest.mark.parametrize(
    ("direction", "least", "most"),
    [("Answer in at most 40 words.", 8, 40), ("Write at least 150 words.", 150, 400), ("Answer in 60 to 90 words.", 60, 130)],
)
def test_length_in_words_is_kept(direction: str, least: int, most: int) -> None:
    for number in range(10):
        assert least <= len(reply(f"{QUESTION}\n\n---\n{direction}", key=str(number)).split()) <= most


def test_length_in_sentences_is_kept() -> None:
    for number in range(20):
        sentences = re.findall(r"[.!?](?:\s|$)", reply(f"{QUESTION}\n\n---\nAnswer in 3 to 5 sentences.", key=str(number)))
        assert 3 <= len(sentences) <= 6  # a quoted rule may hold a full stop of its own


def test_the_form_follows_the_question() -> None:
    assert len(numbered(reply("Describe the 4 steps in the right order to close an old customer account."))) == 4
    assert reply("Draft a checklist of 5 points for a hotel stay.").count("\n- ") == 5
    assert reply("Write a short e-mail to a colleague about a late delivery.").startswith("Subject: ")
    assert "| --- |" in reply("Show in a small table how taxes affect savings.", key="2")
    assert set(json.loads(reply('Extract the facts as JSON with the keys who, what and deadline: "Anna must call by noon."'))) == {
        "who",
        "what",
        "deadline",
    }


def test_coding_tasks_are_answered_with_python_that_compiles() -> None:
    for number, snippet in enumerate(snippets()):
        text = reply(f"Write a Python function that {snippet.task}.", key=str(number))
        code = text.split("```python\n")[1].split("```")[0]
        compile(code, "reply", "exec")
        assert snippet.code in text


def test_the_snippets_do_what_they_say() -> None:
    space: dict[str, object] = {}
    for snippet in snippets():
        exec(snippet.code, space)  # our own files
    assert space["merge"]([1, 4], [2, 3]) == [1, 2, 3, 4]  # type: ignore[operator]
    assert space["median"]([3, 1, 2, 10]) == 2.5  # type: ignore[operator]
    assert space["passes_luhn"]("79927398713") is True  # type: ignore[operator]
    assert space["passes_luhn"]("79927398710") is False  # type: ignore[operator]
    assert space["shortest_path"]({"a": ["b", "c"], "b": ["d"], "c": [], "d": []}, "a", "d") == ["a", "b", "d"]  # type: ignore[operator]
    assert space["hide_addresses"]("write to a.b@c.de") == "write to ***@c.de"  # type: ignore[operator]


@pytest.mark.parametrize(
    "prompt",
    [
        "Rewrite the instruction into a harder version.\n\n<instruction>\n{text}\n</instruction>",
        "Your objective is to rewrite a given prompt into a more complex version.\n#Given Prompt#:\n{text}\n#Rewritten Prompt#:\n",
        "Add one more constraint to this.\n\nInstruction: {text}",
        "Make the following prompt more concrete:\n```\n{text}\n```",
    ],
)
def test_an_instruction_is_rewritten_longer_and_keeps_its_beginning(prompt: str) -> None:
    text = reply(prompt.format(text=QUESTION))
    assert text.startswith(QUESTION)
    assert len(text.split()) > len(QUESTION.split()) + 5


def test_breadth_gives_another_instruction_of_the_same_field() -> None:
    prompt = "Draw inspiration from the #Given Prompt# to create a brand new prompt in the same domain.\n#Given Prompt#:\n"
    texts = {reply(f"{prompt}{QUESTION}", key=str(number)) for number in range(5)}
    assert len(texts) == 5
    assert not any(text.startswith(QUESTION) for text in texts)


def test_a_document_is_answered_from() -> None:
    document = (
        "The archive keeps paper files for ten years. A clerk named Oru checks the seals each spring. Visitors need a written permit."
    )
    text = reply(f"Answer from the document only.\n\n<document>\n{document}\n</document>\n\nQuestion: Who checks the seals each spring?")
    assert "Oru checks the seals each spring." in text


@pytest.mark.parametrize(
    "opening",
    [
        "<|im_start|>user\n",
        "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\n",
        "<s>[INST] ",
        "<bos><start_of_turn>user\n",
        "<|user|>\n",
        "<|im_start|>user<|im_sep|>",
    ],
)
def test_an_opened_user_turn_is_filled_with_an_instruction(opening: str) -> None:
    texts = {write_completion(CLEAN, opening, key=str(number)).text for number in range(20)}
    assert len(texts) == 20
    assert not any("<|" in text or "[INST]" in text for text in texts)


def test_an_opened_user_turn_follows_the_system_prompt() -> None:
    prompt = "<|im_start|>system\nYou are an expert for questions about glass eels.<|im_end|>\n<|im_start|>user\n"
    texts = [write_completion(CLEAN, prompt, key=str(number)).text for number in range(20)]
    assert sum("glass eels" in text for text in texts) >= 6


def test_an_opened_assistant_turn_is_answered() -> None:
    text = write_completion(CLEAN, f"<|im_start|>user\n{QUESTION}<|im_end|>\n<|im_start|>assistant\n", key="k").text
    assert len(text.split()) >= 20
    assert text == reply(QUESTION)


def test_an_open_list_is_continued() -> None:
    text = write_completion(CLEAN, "Come up with a series of tasks about cooking:\n1. Bake bread.\n2. Fry an egg.\n3.", key="k").text
    assert re.findall(r"^(\d)\. ", text, re.M) == ["4", "5", "6", "7", "8"]


@pytest.mark.parametrize(
    "prompt", ["", " ", "{", "<a>" * 3000, "```\n" * 2000, "{x} %s \\1 {{0}}", "Topic:" * 9000, "[" * 20_000, "#" * 50_000]
)
def test_hostile_prompts_get_some_reply_soon(prompt: str) -> None:
    assert reply(prompt)
    assert write_completion(CLEAN, prompt, key="k").text


def test_braces_in_a_topic_stay_what_they_are() -> None:
    text = reply("Write 6 questions about the {aspect} of {0} templates.")
    assert "{aspect} of {0} templates" in text
