from __future__ import annotations

from dataclasses import replace

import pytest

from gen import plugins
from gen.llm.capabilities import sampling
from gen.recipe import ModelLine
from gen.review import REASONS
from gen.second_chance import change_for, feedback_for, sampling_for, worth_another
from gen.types import Malformed, Message, Outcome, Request, Sample, Sampling, Task, rejected

TASK = Task("self_instruct", "topic", 0, 0, 1)


def failed(gate: str, reason: str) -> Outcome:
    return Outcome(TASK, Sample("s", ()), (rejected(gate, reason, "a detail"),))


@pytest.mark.parametrize("gate", ["exact_dup", "near_dup", "novelty", "contamination"])
def test_a_duplicate_is_asked_for_something_different(gate: str) -> None:
    assert change_for(failed(gate, "x"), 1) == "new_instruction"
    assert "different" in feedback_for(failed(gate, "x")).advice


@pytest.mark.parametrize("gate", ["refusal", "truncation", "length", "pii", "quality"])
def test_a_bad_answer_keeps_its_instruction_once(gate: str) -> None:
    assert change_for(failed(gate, "x"), 1) == "new_answer"
    assert change_for(failed(gate, "x"), 2) == "new_instruction"


def test_a_bad_prompt_is_asked_for_anew() -> None:
    assert change_for(failed("length", "prompt_too_short"), 1) == "new_instruction"


def test_what_never_became_a_sample_starts_over() -> None:
    assert change_for(Outcome(TASK, Malformed("m", "unreadable_list")), 1) == "new_instruction"


@pytest.mark.parametrize("gate", ["safety", "goal"])
def test_unsafe_and_surplus_are_never_asked_again(gate: str) -> None:
    assert not worth_another(rejected(gate, "x"))


def test_the_first_attempt_is_sampled_as_the_recipe_says() -> None:
    assert sampling_for(Sampling(temperature=0.3), 0) == Sampling(temperature=0.3)


def test_each_attempt_is_sampled_otherwise() -> None:
    hot = [sampling_for(Sampling(temperature=1.0), attempt).temperature for attempt in range(3)]
    free = [sampling_for(Sampling(), attempt).temperature for attempt in range(3)]
    assert hot == [1.0, 0.8, 0.6]
    assert free == [None, 0.7, 1.0]


def test_a_cut_off_answer_gets_more_room() -> None:
    assert sampling_for(Sampling(max_tokens=300), 1, "cut off").room == 2
    assert sampling_for(Sampling(max_tokens=300), 1, "too short").room == 1


def test_feedback_names_gate_reason_and_measure() -> None:
    feedback = feedback_for(failed("length", "too_short"))
    assert (feedback.gate, feedback.reason, feedback.detail) == ("length", "too short", "a detail")


@pytest.mark.parametrize(("attempt", "room"), [(0, 1), (1, 2), (2, 4), (9, 4)])
def test_a_reply_that_is_cut_off_again_gets_more_room_up_to_a_bound(attempt: int, room: int) -> None:
    assert sampling_for(Sampling(), attempt, "cut off").room == room


def test_more_room_is_more_than_the_models_own_limit() -> None:
    line, request = ModelLine(provider="simulator", max_tokens=4096), Request("writer", (Message("user", "Why?"),))
    cut_off = replace(request, sampling=sampling_for(request.sampling, 1, "cut off"))
    assert (sampling(request, line).max_tokens, sampling(cut_off, line).max_tokens) == (4096, 8192)


def test_more_room_is_never_more_than_the_model_writes() -> None:
    line = ModelLine(provider="openai", model="gpt-4o-mini", max_tokens=6000)
    assert [sampling(Request("writer", sampling=Sampling(room=room)), line).max_tokens for room in (1, 2, 4)] == [6000, 12_000, 16_384]


@pytest.mark.parametrize("reason", ["duplicate", "bad_prompt", "off_topic", "unclear", "too_easy"])
def test_what_a_person_says_of_the_instruction_asks_for_another_one(reason: str) -> None:
    assert change_for(failed("review", reason), 1) == "new_instruction"


@pytest.mark.parametrize("reason", ["wrong", "incomplete", "my_own_words"])
def test_what_a_person_says_of_the_answer_keeps_the_instruction_and_goes_into_the_prompt(reason: str) -> None:
    assert change_for(failed("review", reason), 1) == "new_answer"
    told = feedback_for(failed("review", reason))
    assert (told.reason, told.detail) == (reason.replace("_", " "), "a detail")
    assert "person" in told.advice


def test_what_a_person_called_unsafe_is_not_asked_again() -> None:
    assert not worth_another(rejected("review", "unsafe"))
    assert set(REASONS) >= {"duplicate", "bad_prompt", "off_topic", "unclear", "too_easy", "unsafe"}


@pytest.mark.parametrize("gate", [name for name in plugins.names("gates") if name not in ("schema", "safety", "semantic_dup")])
def test_every_gate_has_advice_for_the_next_attempt(gate: str) -> None:
    assert feedback_for(failed(gate, "x")).advice
