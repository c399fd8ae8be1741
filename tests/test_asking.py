from __future__ import annotations

import pytest
from fakes import FakeModel

from gen.asking import Asking, Reply, candidate_id, draw_of
from gen.errors import BudgetReached, RequestRejected, Unavailable
from gen.types import Malformed, Message, Response, Task

TASK = Task("self_instruct", "bread", 3, 0, 41)


def asking(answer: object = "yes") -> tuple[Asking, FakeModel]:
    model = FakeModel(lambda _: answer)  # type: ignore[arg-type, return-value]
    return Asking(TASK, model, seeds=("seed-1",), parents=("parent",)), model


async def test_a_reply_knows_its_model_and_prompt_and_the_request_its_purpose() -> None:
    one, model = asking()
    reply = await one.ask("writer", [Message("user", "Hi")], part="answer", step=2, prompt="p@1")
    assert isinstance(reply, Reply)
    assert (reply.response.text, reply.model, reply.prompt) == ("yes", "writer", "p@1")
    assert (model.requests[0].purpose, model.requests[0].step) == ("self_instruct.answer", 2)


async def test_equal_prompts_are_different_draws_and_the_same_ones_each_time() -> None:
    one, model = asking()
    for _ in range(2):
        for position in range(3):
            await one.ask("writer", [Message("user", "Hi")], part="answer", step=1, position=position)
    draws = [request.draw for request in model.requests]
    assert draws[:3] == draws[3:]
    assert len(set(draws)) == 3
    assert all(0 <= draw < 2**31 for draw in draws)
    assert draw_of(41, "answer", 0) != draw_of(41, "question", 0) != draw_of(42, "question", 0)


async def test_a_raw_prompt_goes_without_messages() -> None:
    one, model = asking()
    await one.ask("writer", [Message("user", "Hi")], part="x", step=0, raw="<|user|>")
    assert (model.requests[0].messages, model.requests[0].prompt) == ((), "<|user|>")


@pytest.mark.parametrize("error", [RequestRejected("no", reason="content_policy", status=400), Unavailable("gone", reason="timeout")])
async def test_a_call_that_failed_for_good_is_a_value_with_its_reason(error: Exception) -> None:
    one, _ = asking(error)
    failed = await one.ask("writer", part="answer", step=1, position=2)
    assert isinstance(failed, Malformed)
    assert (failed.gate, failed.reason, failed.detail) == ("provider", error.reason, str(error))  # type: ignore[attr-defined]
    assert failed.id == candidate_id(TASK, 2)
    assert failed.provenance.model == "writer"


async def test_what_ends_the_run_passes_through() -> None:
    one, _ = asking(BudgetReached("the budget is spent", reason="budget_reached"))
    with pytest.raises(BudgetReached):
        await one.ask("writer", part="answer", step=1)


def test_a_sample_remembers_where_it_comes_from() -> None:
    one, _ = asking()
    replies = [
        Reply(Response("a", key="k1", finish_reason="stop"), "writer", "p@1"),
        Reply(Response("b", key="k2", finish_reason="length", simulated=True), "other", "p@1"),
        Reply(Response("c", finish_reason="stop"), "last", ""),
    ]
    sample = one.sample(1, [Message("user", "q")], replies, seeds=["seed-2"], parents=["other parent"], notes={"kind": "x"})
    source = sample.provenance
    assert sample.id == candidate_id(TASK, 1)
    assert (source.task, source.strategy, source.topic, source.attempt) == (TASK.id, "self_instruct", "bread", 0)
    assert (source.seeds, source.parents) == (("seed-1", "seed-2"), ("parent", "other parent"))
    assert (source.model, source.prompts, source.requests) == ("last", ("p@1",), ("k1", "k2"))
    assert (source.finish_reason, source.simulated, source.notes["kind"]) == ("stop", True, "x")


def test_two_equal_texts_have_two_ids() -> None:
    one, _ = asking()
    assert one.sample(0, [Message("user", "q")], []).id != one.sample(1, [Message("user", "q")], []).id


def test_a_request_without_a_reply_still_has_a_provenance() -> None:
    one, _ = asking()
    failed = one.malformed(0, "not_a_list", text="prose")
    assert (failed.gate, failed.reason, failed.text, failed.provenance.requests) == ("parse", "not_a_list", "prose", ())
