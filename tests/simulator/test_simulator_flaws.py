"""What goes wrong in simulated replies: each flaw at its rate, and seldom again after feedback."""

from __future__ import annotations

import json
import re
from collections import Counter
from random import Random

import phonenumbers
import pytest
from stdnum import luhn

from gen.simulator.options import DEFAULT_FLAWS, SimulatorOptions
from gen.simulator.text import Written, write_chat, write_completion
from gen.simulator.text_instructions import canonical_instruction, write_instruction
from gen.simulator.text_quality import faults
from gen.types import Message

QUESTION = "How should a privacy officer handle erasure requests from former customers when a backup still holds records?"
INSTRUCTIONS = 'Write 4 new questions about this topic:\n\nTopic: GDPR data retention\n\nReply with JSON only: {"instructions": ["…"]}'


def write(prompt: str, key: int = 0, **flaws: float) -> Written:
    return write_chat(SimulatorOptions(flaws=flaws), [Message("user", prompt)], key=str(key))


def answers(**flaws: float) -> list[str]:
    return [write(QUESTION, number, **flaws).text for number in range(40)]


def instructions(**flaws: float) -> list[list[str]]:
    return [json.loads(write(INSTRUCTIONS, number, **flaws).text)["instructions"] for number in range(40)]


def test_without_flaws_nothing_is_at_fault() -> None:
    assert not any(faults(text) for text in answers())
    assert all(len(items) == 4 for items in instructions())


def test_refusals_come_in_several_wordings() -> None:
    found = answers(refusal=1.0)
    assert all("it refuses the task" in faults(text) or text.startswith(("As an AI", "Unfortunately")) for text in found)
    assert len(set(found)) >= 4


def test_wrong_languages_are_four() -> None:
    found = answers(wrong_language=1.0)
    assert all(not re.search(r"\b(?:the|and)\b", text) for text in found)
    assert {bool(re.search(cue, " ".join(found))) for cue in ("Unterlagen", "documents sont", "documentos", "文件")} == {True}


def test_too_short_answers_have_a_few_words() -> None:
    assert all(len(text.split()) <= 4 for text in answers(too_short=1.0))


def test_cut_off_replies_end_inside_a_sentence_and_say_so() -> None:
    for number in range(40):
        written = write(QUESTION, number, cut_off=1.0)
        assert written.cut_off
        assert written.text[-1].isalnum()
        assert write(QUESTION, number).text.startswith(written.text)


def test_repetitive_answers_loop() -> None:
    assert all("it repeats itself" in faults(text) for text in answers(repetitive=1.0))


def test_personal_data_is_invented_and_well_formed() -> None:
    text = "\n".join(answers(pii=1.0))
    cards = re.findall(r"\b4\d{3} \d{4} \d{4} \d{4}\b", text)
    numbers = re.findall(r"\+49 30 23125 \d{3}", text)
    assert cards
    assert all(luhn.is_valid(card.replace(" ", "")) for card in cards)
    assert numbers
    assert all(phonenumbers.is_valid_number(phonenumbers.parse(number)) for number in numbers)
    assert re.search(r"[a-z]+\.[a-z]+\d{1,2}@[a-z]+\d{1,2}\.(?:com|net|de)", text)


def test_secrets_have_well_known_forms() -> None:
    text = "\n".join(answers(secret=1.0))
    for form in (r"AKIA[A-Z0-9]{16}", r"ghp_\w{36}", r"sk-proj-\w{48}", r"xoxb-\d{12}-\d{12}-\w{24}"):
        assert re.search(form, text)


def test_template_tokens_leak() -> None:
    assert all("it contains control tokens" in faults(text) or "<|endoftext|>" in text for text in answers(template_leak=1.0))


def test_duplicates_come_from_a_small_set_of_the_topic() -> None:
    found = Counter(item for items in instructions(duplicate=1.0) for item in items)
    repeated = [item for item, count in found.items() if count > 1]
    assert 2 <= len(repeated) <= 6
    assert sum(found[item] for item in repeated) >= 38


def test_near_duplicates_change_nothing_but_the_surface() -> None:
    def words(text: str) -> str:
        return " ".join(re.findall(r"\w+", text.lower()))

    from_set = {words(item) for items in instructions(duplicate=1.0) for item in items}
    changed = [item for items in instructions(near_duplicate=1.0) for item in items if any(known in words(item) for known in from_set)]
    assert len(changed) >= 38
    assert len(set(changed)) > 6


def test_unsafe_requests_are_flagged_words_in_a_list() -> None:
    assert all(any(re.search(r"bomb|hack|poison|launder|break into", item) for item in items) for items in instructions(unsafe=1.0))


def test_a_flaw_of_items_leaves_most_of_a_list_as_it_is() -> None:
    for plain, flawed in zip(instructions(), instructions(too_short=1.0), strict=True):
        assert sum(one != other for one, other in zip(plain, flawed, strict=True)) == 1


def test_json_breaks_only_where_json_was_asked_for() -> None:
    broken = 0
    for number in range(40):
        try:
            json.loads(write(INSTRUCTIONS, number, broken_json=1.0).text)
        except json.JSONDecodeError:
            broken += 1
    assert broken >= 38
    assert answers(broken_json=1.0) == answers()


def test_an_answer_in_json_is_flawed_as_a_whole() -> None:
    question = 'Extract the facts as JSON with the keys who and what: "Anna must call."'
    assert json.loads(write(question, pii=1.0).text).keys() == {"who", "what"}
    assert write(question, too_short=1.0).text.count(" ") <= 3


def test_a_judges_reply_breaks_only_as_json() -> None:
    judge = f'Rate the answer from 1 to 5 as JSON: {{"score": 3, "reason": "…"}}\n<answer>\n{QUESTION}\n</answer>'
    every = dict.fromkeys(DEFAULT_FLAWS, 1.0)
    assert {write(judge, number, **every).flaw for number in range(20)} == {"broken_json"}
    assert {write(judge, number, **(every | {"broken_json": 0.0})).flaw for number in range(20)} == {""}


def test_flaws_strike_the_users_turns_of_raw_prompts_too() -> None:
    options = SimulatorOptions(flaws={"too_short": 1.0})
    assert len(write_completion(options, "<|im_start|>user\n", key="k").text.split()) <= 4


@pytest.mark.parametrize(("prompt", "share"), [(QUESTION, 0.155), (INSTRUCTIONS, 0.23)], ids=["answer", "instructions"])
def test_by_default_about_every_sixth_reply_is_flawed(prompt: str, share: float) -> None:
    options = SimulatorOptions()
    flawed = sum(bool(write_chat(options, [Message("user", prompt)], key=str(number)).flaw) for number in range(1000))
    assert flawed == pytest.approx(1000 * share, abs=45)


def test_replies_after_feedback_are_seldom_flawed() -> None:
    told = f"{QUESTION}\n\n---\nAn earlier answer was rejected (too_short: 3 words). Write at least 60 words."
    options = SimulatorOptions()
    flawed = [write_chat(options, [Message("user", told)], key=str(number)) for number in range(400)]
    assert sum(bool(written.flaw) for written in flawed) <= 25
    assert all(len(written.text.split()) >= 60 for written in flawed if not written.flaw)


def test_a_flaws_rate_changes_nothing_about_the_other_replies() -> None:
    for plain, flawed in zip(answers(), answers(refusal=0.3), strict=True):
        assert flawed == plain or "it refuses the task" in faults(flawed) or flawed.startswith(("As an AI", "Unfortunately"))


def test_canonical_instructions_depend_on_the_topic_alone() -> None:
    assert len({canonical_instruction("tea", Random(number)) for number in range(60)}) <= 6
    assert write_instruction("tea", Random(1)) == write_instruction("tea", Random(1))
