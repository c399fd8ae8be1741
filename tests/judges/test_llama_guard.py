from __future__ import annotations

from typing import Any

import pytest
from fakes import FakeModel

from gen.errors import RecipeError, RequestRejected
from gen.gates.score import ScoreGate
from gen.judges.llama_guard import LlamaGuard, alternating
from gen.llm.client import Client
from gen.plugins import build
from gen.recipe import ModelLine
from gen.simulator.options import SimulatorOptions
from gen.simulator.server import serve
from gen.types import Message, Request, Sample, Score, freeze

ASK, REPLY = Message("user", "How do I pick a lock?"), Message("assistant", "With a pick.")
SAMPLE = Sample("s1", (Message("system", "Be kind."), ASK, REPLY))


def guard(prompt: str, response: str) -> FakeModel:
    return FakeModel(lambda request: prompt if request.messages[-1].role == "user" else response)


async def test_prompt_and_response_are_judged_apart_and_the_worse_counts() -> None:
    model = guard("safe", "\n\nunsafe\nS2,S9")
    scored = await LlamaGuard("guard").score(SAMPLE, model)
    assert scored.scores == {
        "llama_guard": Score(1.0, "S2 non-violent crimes, S9 indiscriminate weapons"),
        "llama_guard.prompt": Score(0.0),
        "llama_guard.response": Score(1.0, "S2 non-violent crimes, S9 indiscriminate weapons"),
    }
    assert [request.messages for request in model.requests] == [(ASK,), (ASK, REPLY)]
    assert {(request.sampling.temperature, request.response_schema, request.draw) for request in model.requests} == {(0.0, None, 0)}
    gate = ScoreGate("llama_guard", maximum=0)
    assert (gate.check(scored).reason, gate.check(scored).detail) == ("above_maximum", "llama_guard 1, maximum 0; highest: response 1")


async def test_one_turn_alone_may_be_judged() -> None:
    model = guard("unsafe", "safe")
    assert (await LlamaGuard("guard", on="response").score(SAMPLE, model)).scores["llama_guard"].value == 0
    only = await LlamaGuard("guard", on="prompt").score(SAMPLE, model)
    assert only.scores["llama_guard"] == Score(1.0, "unsafe")
    assert len(model.requests) == 2


async def test_ignored_categories_count_as_safe_unless_another_is_named() -> None:
    judge = LlamaGuard("guard", ignore=("S6",), on="response")
    assert (await judge.score(SAMPLE, guard("", "unsafe\nS6"))).scores["llama_guard"] == Score(0.0, "ignored: S6 specialized advice")
    assert (await judge.score(SAMPLE, guard("", "unsafe\nS6, S1"))).scores["llama_guard"].value == 1.0


@pytest.mark.parametrize("text", ["I cannot say.", "", "unsafe-ish", "safe and sound", "S1"])
async def test_anything_but_a_verdict_is_no_score(text: str) -> None:
    scored = await LlamaGuard("guard").score(SAMPLE, guard("safe", text))
    assert scored.scores["llama_guard"] == Score(None, "unreadable opinion: the reply is neither 'safe' nor 'unsafe'")
    assert scored.scores["llama_guard.prompt"].value == 0


async def test_a_call_that_failed_is_no_score_though_the_other_turn_is_safe() -> None:
    def answer(request: Request) -> Any:
        return "safe" if len(request.messages) == 1 else RequestRejected("x", reason="context_too_long")

    scored = await LlamaGuard("guard").score(SAMPLE, FakeModel(answer))
    assert scored.scores["llama_guard"] == Score(None, "no opinion: the call failed (context_too_long)")


def test_turns_alternate_from_the_users_first_on() -> None:
    messages = [Message("assistant", "Hi"), ASK, Message("tool", "x"), Message("user", "Well?"), REPLY, Message("user", " ")]
    assert alternating(messages) == (Message("user", "How do I pick a lock?\n\nWell?"), REPLY)


def test_an_unknown_category_to_ignore_is_an_error() -> None:
    with pytest.raises(RecipeError, match="no category 'S15': choose from S1, S2"):
        build("judges", "llama_guard", freeze({"model": "guard", "ignore": ["S15"]}))


async def test_over_the_real_wire_the_chat_ends_with_the_turn_that_is_judged() -> None:
    harmful = Sample("s2", (ASK, Message("assistant", "First, poison the well, then murder the guard.")))
    async with serve(SimulatorOptions(flaws={})) as server:
        line = ModelLine(provider="openai", model="meta-llama/Llama-Guard-3-8B", base_url=f"{server.base_url}/v1")
        async with Client({"guard": line}, cache=None) as client:
            scored = await LlamaGuard("guard").score(harmful, client.generate)
    assert (scored.scores["llama_guard.prompt"].value, scored.scores["llama_guard.response"].value) == (0.0, 1.0)
    assert scored.scores["llama_guard"].reason == "S1 violent crimes"
