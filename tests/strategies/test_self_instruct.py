from __future__ import annotations

import json
from random import Random

import pytest
from fakes import FakeModel, instructions_and_answers

from gen import plugins
from gen.errors import RecipeError, RequestRejected
from gen.strategies.self_instruct import SelfInstruct
from gen.types import (
    Json,
    Malformed,
    Message,
    Outcome,
    Pool,
    Provenance,
    Request,
    Sample,
    SeedTask,
    Sources,
    Task,
    Turn,
    rejected,
)

SEEDS = tuple(SeedTask(f"seed-{number}", f"Seed instruction with the number {number}", "Done.") for number in range(20))
POOL = Pool(Sources(seed_tasks=SEEDS))


def task_of(strategy: SelfInstruct, pool: Pool = POOL, rejected: Outcome | None = None, attempt: int = 0) -> Task:
    turn = Turn("self_instruct", "tides", 0, attempt, 5, rejected)
    return Task("self_instruct", "tides", 0, attempt, 5, strategy.plan(turn, pool, Random(5)))


def listing(*instructions: str) -> FakeModel:
    def answer(request: Request) -> str:
        return json.dumps({"instructions": list(instructions)}) if request.purpose.endswith("instruct") else "An answer in words."

    return FakeModel(answer)


def own(number: int) -> Sample:
    messages = (Message("user", f"Own instruction about the matter {number}"), Message("assistant", "Yes."))
    return Sample(f"own-{number}", messages, provenance=Provenance(topic="tides"))


async def test_every_instruction_of_a_reply_is_answered() -> None:
    model = FakeModel(instructions_and_answers)
    items = await SelfInstruct(model="writer").run(task_of(SelfInstruct(model="writer")), POOL, model)
    assert [type(item) for item in items] == [Sample] * 5
    assert [request.purpose for request in model.requests] == ["self_instruct.instruct"] + ["self_instruct.answer"] * 5
    assert len({item.id for item in items}) == 5


async def test_six_seeds_and_two_of_its_own_are_shown() -> None:
    pool = Pool(POOL.sources, tuple(own(number) for number in range(9)))
    inputs = task_of(SelfInstruct(model="writer"), pool).inputs
    assert sum(name.startswith("seed-") for name in inputs["seeds"]) == 6
    assert sum(name.startswith("own-") for name in inputs["seeds"]) == 2


async def test_seeds_stand_in_while_the_pool_is_empty() -> None:
    assert len(task_of(SelfInstruct(model="writer")).inputs["examples"]) == 8


async def test_an_instruction_close_to_the_pool_is_dropped_before_its_answer_is_bought() -> None:
    model = listing("Seed instruction with the number 3", "How does the moon move water around the whole globe?")
    stale, fresh = await SelfInstruct(model="writer").run(task_of(SelfInstruct(model="writer")), POOL, model)
    assert isinstance(stale, Malformed)
    assert (stale.gate, stale.reason) == ("novelty", "not_novel")
    assert stale.detail.startswith("ROUGE-L 1.00 ≥ 0.7 against pool item ")
    assert isinstance(fresh, Sample)
    assert len(model.requests) == 2


async def test_two_equal_instructions_of_one_reply_are_one() -> None:
    model = listing("Why is the sea salty in every ocean?", "Why is the sea salty in every ocean?")
    first, second = await SelfInstruct(model="writer").run(task_of(SelfInstruct(model="writer")), POOL, model)
    assert isinstance(first, Sample)
    assert isinstance(second, Malformed)


async def test_a_reply_without_a_list_is_one_malformed_candidate() -> None:
    (item,) = await SelfInstruct(model="writer").run(
        task_of(SelfInstruct(model="writer")), POOL, FakeModel(lambda _: "I would rather not.")
    )
    assert isinstance(item, Malformed)
    assert (item.gate, item.reason, item.text) == ("parse", "unreadable_list", "I would rather not.")


async def test_a_failed_answer_keeps_the_call_for_its_instruction_on_record() -> None:
    def answer(request: Request) -> str | RequestRejected:
        if request.purpose.endswith("instruct"):
            return '{"instructions": ["Why is the sea salty in every ocean?"]}'
        return RequestRejected("no", reason="bad_request", status=400)

    model = FakeModel(answer)
    (item,) = await SelfInstruct(model="writer").run(task_of(SelfInstruct(model="writer")), POOL, model)
    assert (item.gate, item.reason) == ("provider", "bad_request")  # type: ignore[union-attr]
    assert len(item.provenance.requests) == 1


async def test_the_answer_style_is_told_but_not_trained_on_and_the_system_message_is() -> None:
    strategy = SelfInstruct(model="writer", answer_model="other", system="You are a desk.", answer_style="in two sentences")
    model = listing("Why is the sea salty in every ocean?")
    (item,) = await strategy.run(task_of(strategy), POOL, model)
    assert isinstance(item, Sample)
    assert [message.role for message in item.messages] == ["system", "user", "assistant"]
    assert item.messages[0].content == "You are a desk."
    assert item.messages[1].content == "Why is the sea salty in every ocean?"
    assert "Answer in two sentences." in model.requests[-1].messages[-1].content
    assert model.requests[-1].model == "other"


async def test_a_rejected_answer_is_asked_for_again_with_the_reason() -> None:
    strategy = SelfInstruct(model="writer")
    failed = Outcome(task_of(strategy), own(1), (rejected("length", "too_short", "3 words, at least 20"),))
    model = FakeModel(instructions_and_answers)
    task = task_of(strategy, rejected=failed, attempt=1)
    (item,) = await strategy.run(task, POOL, model)
    assert isinstance(item, Sample)
    assert item.first("user") == "Own instruction about the matter 1"
    assert item.provenance.parents == ("own-1",)
    assert "rejected (too short: 3 words, at least 20)" in model.requests[0].messages[-1].content


def test_a_duplicate_is_asked_for_again_as_something_else() -> None:
    failed = Outcome(task_of(SelfInstruct(model="writer")), own(1), (rejected("near_dup", "near_duplicate"),))
    inputs: dict[str, Json] = dict(task_of(SelfInstruct(model="writer"), rejected=failed, attempt=1).inputs)
    assert inputs["avoid"] == "Own instruction about the matter 1"
    assert (inputs["count"], inputs["parent"]) == (1, "own-1")


@pytest.mark.parametrize(
    ("option", "value", "bounds"), [("instructions_per_call", 0, "1 to 20"), ("novelty", 0.0, "0.05 to 1"), ("lag", 0, "1 to 1000")]
)
def test_an_option_out_of_bounds_is_named(option: str, value: float, bounds: str) -> None:
    with pytest.raises(RecipeError, match=rf"must be from {bounds}, got {value:g}") as error:
        plugins.build("strategies", "self_instruct", {"model": "writer", option: value})
    assert error.value.key == option
