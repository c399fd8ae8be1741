"""Where a message stands in the rendered text, whatever the template does to it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gen.templates.chat_template import ChatTemplate, Unfit
from gen.templates.loss_mask import Rendered, TurnFinder
from gen.types import Message

TEMPLATES = Path(__file__).parent


def finder(name: str) -> TurnFinder:
    source = (TEMPLATES / f"{name}.jinja").read_text(encoding="utf-8")
    return TurnFinder(ChatTemplate(source, {"bos_token": "<s>", "eos_token": "</s>"}))


def found(turns: TurnFinder, *contents: str, roles: tuple[str, ...] = ("user", "assistant") * 5) -> Rendered:
    result = turns.find([Message(role, content) for role, content in zip(roles, contents, strict=False)])
    assert isinstance(result, Rendered), result
    return result


def texts(rendered: Rendered) -> list[str]:
    return [rendered.text[turn.start : turn.end] for turn in rendered.turns]


@given(st.lists(st.text(alphabet="ab \n<|>user", max_size=12), min_size=2, max_size=6))
def test_every_message_is_found_even_when_texts_repeat_or_look_like_the_template(contents: list[str]) -> None:
    rendered = found(finder("chatml"), *contents)
    assert [text for text, content in zip(texts(rendered), contents, strict=True) if content.strip()] == [
        content for content in contents if content.strip()
    ]


@given(st.lists(st.text(alphabet="ab \n\t", max_size=8), min_size=2, max_size=4))
def test_a_trimming_template_gives_the_trimmed_text(contents: list[str]) -> None:
    rendered = found(finder("llama3"), *contents)
    assert [text.strip() for text in texts(rendered)] == [content.strip() for content in contents]
    assert all(text == text.strip() for text in texts(rendered))


def test_the_generation_prompt_ends_where_the_answer_begins() -> None:
    turns = finder("chatml")
    rendered = found(turns, "Hello", "\nGood day", "More", "Less")
    for number in (1, 3):
        prompt = turns.template.render(
            [Message(role, text) for role, text in zip(("user", "assistant", "user"), ("Hello", "\nGood day", "More"), strict=True)][
                :number
            ],
            generation_prompt=True,
        )
        assert rendered.text[: rendered.turns[number].prompt_end] == prompt


def test_a_think_block_that_the_template_adds_lies_between_prompt_and_answer() -> None:
    rendered = found(finder("qwen3"), "Hello", "Good day")
    answer = rendered.turns[1]
    assert rendered.text[answer.prompt_end : answer.start] == "<think>\n\n</think>\n\n"


def test_reasoning_of_the_message_itself_is_part_of_its_turn() -> None:
    rendered = found(finder("qwen3"), "2 + 2?", "<think>\neasy\n</think>\n\nFour.")
    assert texts(rendered)[1] == "<think>\neasy\n</think>\n\nFour."
    assert rendered.turns[1].prompt_end == rendered.turns[1].start


def test_a_system_text_folded_into_a_question_is_found() -> None:
    rendered = found(finder("gemma3"), "Be brief", "Hello", "Good day", roles=("system", "user", "assistant"))
    assert texts(rendered) == ["Be brief", "Hello", "Good day"]


@pytest.mark.parametrize("role", ["tool", "system"])
def test_a_role_that_the_template_leaves_out_is_text_lost(role: str) -> None:
    only_two = "{% for m in messages if m.role in ('user', 'assistant') %}[{{ m.role }}]{{ m.content }};{% endfor %}"
    result = TurnFinder(ChatTemplate(only_two)).find([Message(role, "Facts"), Message("user", "Hello"), Message("assistant", "Hi")])
    assert result == Unfit("text_lost_in_template", f"the template leaves out message 1 ({role})")


def test_a_template_that_cuts_a_message_is_text_lost() -> None:
    cutting = "{% for m in messages %}[{{ m.role }}]{{ m.content[:20] }};{% endfor %}"
    turns = TurnFinder(ChatTemplate(cutting))
    assert isinstance(turns.find([Message("user", "short")]), Rendered)
    result = turns.find([Message("user", "a question that is longer than that"), Message("assistant", "yes")])
    assert isinstance(result, Unfit)
    assert result.reason == "text_lost_in_template"


def test_a_template_that_changes_letters_is_text_lost() -> None:
    shouting = "{% for m in messages %}[{{ m.role }}]{{ m.content | upper }};{% endfor %}"
    result = TurnFinder(ChatTemplate(shouting)).find([Message("user", "Hello"), Message("assistant", "Good day")])
    assert isinstance(result, Unfit)
    assert result.reason == "text_lost_in_template"


def test_the_characters_that_mark_a_place_do_no_harm_in_a_message() -> None:
    rendered = found(finder("chatml"), "\ue0a1m0m\ue0a2", "\ue0a1m1m\ue0a2 and \ue0a2")
    assert texts(rendered) == ["\ue0a1m0m\ue0a2", "\ue0a1m1m\ue0a2 and \ue0a2"]
    result = finder("qwen3").find([Message("user", "Hi"), Message("assistant", "<think>\n\ue0a1\n</think>\n\nx")])
    assert isinstance(result, Unfit)
    assert result.reason == "mask_unproven"


def test_a_shape_is_learnt_once() -> None:
    turns = finder("chatml")
    for number in range(5):
        found(turns, f"Question {number}", f"Answer {number}")
    assert len(turns._skeletons) == 1
