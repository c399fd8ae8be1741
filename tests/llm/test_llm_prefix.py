from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from gen.llm.budget import prompt_bytes, worst_case
from gen.llm.client import Client
from gen.llm.keys import line_identity, request_key
from gen.llm.prefix import WarmUp, kept_turns, prefix_name, shared_turns
from gen.llm.prices import price_of
from gen.llm.providers import anthropic, openai
from gen.llm.providers.scripted import ScriptedProvider
from gen.recipe import ModelLine
from gen.types import Message, Request, Response, Sampling, Usage

LONG = "A rule of some length. " * 800  # 18,400 characters
CLAUDE = ModelLine(provider="anthropic", model="claude-haiku-4-5")
MARK = {"type": "ephemeral"}
SYSTEM, DOCUMENT, QUESTION = Message("system", LONG), Message("user", LONG), Message("user", "Why?")


def asked(*messages: Message, **more: Any) -> Request:
    return Request("writer", messages, **more)


@pytest.mark.parametrize(
    ("messages", "shared"),
    [
        ((QUESTION,), 0),
        ((SYSTEM, QUESTION), 1),
        ((SYSTEM, DOCUMENT, QUESTION), 2),
        ((SYSTEM, QUESTION, Message("assistant", "{"), Message("user", "That reply could not be read")), 1),
        ((SYSTEM,), 1),
        ((), 0),
    ],
)
def test_what_stands_before_the_question_is_shared(messages: tuple[Message, ...], shared: int) -> None:
    assert shared_turns(messages) == shared


def test_a_beginning_is_kept_where_it_is_long_enough_for_the_model_and_nobody_says_no() -> None:
    request = asked(SYSTEM, QUESTION)
    assert kept_turns(request, CLAUDE) == 1
    assert kept_turns(asked(Message("system", LONG[:9000]), QUESTION), CLAUDE) == 0
    assert kept_turns(asked(Message("system", LONG[:9000]), QUESTION), ModelLine(provider="anthropic", model="claude-sonnet-4-5")) == 1
    assert kept_turns(request, CLAUDE.model_copy(update={"prompt_caching": "off"})) == 0
    assert kept_turns(request, ModelLine(provider="openai", model="m", base_url="http://server.test/v1")) == 0


def test_anthropic_is_told_where_the_system_text_ends() -> None:
    body = anthropic.build_payload(asked(SYSTEM, QUESTION), CLAUDE)
    assert body["system"] == [{"type": "text", "text": LONG, "cache_control": MARK}]
    assert body["messages"] == [{"role": "user", "content": "Why?"}]
    short = anthropic.build_payload(asked(Message("system", "Be kind."), QUESTION), CLAUDE)
    assert short["system"] == "Be kind."


def test_anthropic_is_told_where_a_document_ends() -> None:
    body = anthropic.build_payload(asked(Message("system", "Be kind."), DOCUMENT, QUESTION), CLAUDE)
    assert body["system"] == "Be kind."
    assert body["messages"][0]["content"] == [{"type": "text", "text": LONG, "cache_control": MARK}]
    assert body["messages"][1]["content"] == "Why?"


def test_openai_is_given_one_cache_key_per_beginning() -> None:
    line = ModelLine(provider="openai", model="gpt-4.1-mini")
    first, second = (openai.build_payload(asked(SYSTEM, Message("user", text)), line)[1] for text in ("Why?", "How?"))
    assert first["prompt_cache_key"] == second["prompt_cache_key"] == prefix_name(asked(SYSTEM, QUESTION), line)
    assert "prompt_cache_key" not in openai.build_payload(asked(QUESTION), line)[1]
    assert (
        openai.build_payload(asked(SYSTEM, QUESTION), line.model_copy(update={"prompt_caching": "off"}))[1].get("prompt_cache_key") is None
    )


def test_prompt_caching_is_no_part_of_the_key() -> None:
    off = CLAUDE.model_copy(update={"prompt_caching": "off"})
    request = asked(SYSTEM, QUESTION)
    assert request_key(request, CLAUDE, line_identity(CLAUDE)) == request_key(request, off, line_identity(off))


def test_what_is_written_and_read_is_counted_and_priced() -> None:
    usage = {"input_tokens": 10, "cache_creation_input_tokens": 4000, "cache_read_input_tokens": 500, "output_tokens": 7}
    body = {"model": "m", "content": [{"type": "text", "text": "hi"}], "stop_reason": "end_turn", "usage": usage}

    found = anthropic.parse_response(json.dumps(body).encode(), {}).usage
    assert found == Usage(4510, 7, cached_tokens=500, cache_write_tokens=4000)
    price = price_of(CLAUDE)
    assert price is not None
    assert price.cost(found) == pytest.approx((10 * 1 + 4000 * 1.25 + 500 * 0.1 + 7 * 5) / 1e6)
    own = price_of(ModelLine.model_validate({"provider": "anthropic", "model": "x", "price": {"input": 4, "output": 8}}))
    assert own is not None
    assert own.cost(Usage(100, 0, cache_write_tokens=100)) == pytest.approx(100 * 5 / 1e6)


def test_the_worst_case_counts_the_surcharge_for_writing() -> None:
    request, price = asked(SYSTEM, QUESTION), price_of(CLAUDE)
    plain, kept = (worst_case(request, Sampling(max_tokens=1), price, prompt_bytes(request), kept=kept) for kept in (False, True))
    assert kept.tokens == plain.tokens
    assert kept.nano_usd == pytest.approx(1.25 * plain.nano_usd, rel=0.01)


async def test_the_first_goes_ahead_and_the_others_follow_together() -> None:
    back, order = asyncio.Event(), []

    async def answer(request: Request) -> Response:
        order.append(request.messages[-1].content)
        if len(order) == 1:
            await back.wait()
        return Response("ok", usage=Usage(10, 2))

    priced = CLAUDE.model_copy(update={"prompt_caching": "auto"})
    async with Client({"writer": priced}, cache=None, providers={"writer": ScriptedProvider(answer)}) as client:
        tasks = [asyncio.create_task(client.generate(asked(SYSTEM, Message("user", str(number))))) for number in range(5)]
        await asyncio.sleep(0.02)
        assert order == ["0"]
        assert not any(
            name for name, flight in client._flights._flights.items() if flight.reserved and flight.request.messages[-1].content != "0"
        )
        back.set()
        await asyncio.gather(*tasks)
    assert sorted(order) == ["0", "1", "2", "3", "4"]


async def test_nobody_waits_for_ever_and_a_leader_that_failed_lets_the_others_go() -> None:
    patient = WarmUp(longest_seconds=0.01)
    assert await patient.turn("a")
    assert not await patient.turn("a")
    warm = WarmUp(longest_seconds=60)
    assert await warm.turn("b")
    warm.done("b")
    assert not await asyncio.wait_for(warm.turn("b"), 1)
