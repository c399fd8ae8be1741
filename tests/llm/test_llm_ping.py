from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from gen.llm.ping import Pong, ping
from gen.recipe import ModelLine
from gen.simulator.options import SimulatorOptions
from gen.simulator.server import Server, serve

KEY = "sk-" + "test-abcdefghijklmnopqrstuvwx"


@asynccontextmanager
async def service(**options: Any) -> AsyncIterator[Server]:
    async with serve(SimulatorOptions(**options)) as server:
        yield server


def line_to(server: Server, **more: Any) -> ModelLine:
    return ModelLine.model_validate({"provider": "openai", "model": "gpt-4.1-mini", "base_url": f"{server.base_url}/v1"} | more)


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
async def test_a_model_that_answers_tells_its_name_and_its_limits(provider: str) -> None:
    async with service(requests_per_minute=600, tokens_per_minute=90_000) as server:
        pong = await ping("writer", line_to(server, provider=provider))
    assert (pong.error, pong.reported, pong.simulated) == ("", "simulated/gpt-4.1-mini", True)
    assert pong.seconds > 0
    assert {limit.kind: limit.limit for limit in pong.limits} == {"requests": 600, "tokens": 90_000}


async def test_one_small_request_is_sent_and_no_more() -> None:
    async with service(faults={"server_error": 1.0}) as server:
        pong = await ping("writer", line_to(server))
        assert sum(server.counts.values()) == 1
    assert (pong.reason, "answered 500" in pong.error) == ("server_error", True)


async def test_a_wrong_key_is_told_without_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLUICE_TEST_KEY", KEY)
    async with service(api_key="another") as server:
        pong = await ping("writer", line_to(server, api_key_env="SLUICE_TEST_KEY"))
    assert pong.reason == "invalid_key"
    assert KEY not in repr(pong)


async def test_a_missing_key_is_told_with_its_variable() -> None:
    pong = await ping("writer", ModelLine(provider="openai", model="gpt-4.1-mini"))
    assert (pong.reason, "OPENAI_API_KEY is not set" in pong.error) == ("recipe", True)
    assert pong.price.startswith("genai-prices")


async def test_a_server_that_is_not_there_is_told() -> None:
    line = ModelLine(provider="openai", model="m", base_url="http://127.0.0.1:9/v1")
    assert (await ping("writer", line)).reason == "connect_failed"


async def test_an_answer_that_does_not_come_is_a_timeout() -> None:
    async with service(faults={"hang": 1.0}, hang_seconds=5) as server:
        pong = await ping("writer", line_to(server, timeout_seconds=0.05))
    assert (pong.reason, pong.error) == ("timeout", "openai did not answer within 0.05 s")


async def test_a_base_model_is_asked_a_raw_prompt() -> None:
    async with service() as server:
        assert (await ping("base", line_to(server), raw=True)).error == ""
        assert list(server.counts) == [("/v1/completions", 200)]


async def test_a_moderation_model_is_asked_at_its_own_endpoint() -> None:
    async with service() as server:
        assert (await ping("guard", line_to(server, model="omni-moderation-latest"))).error == ""
        assert list(server.counts) == [("/v1/moderations", 200)]


async def test_the_simulator_itself_can_be_asked_and_an_unknown_price_is_empty() -> None:
    pongs = await asyncio.gather(
        ping("a", ModelLine()), ping("b", ModelLine(provider="openai", model="home-made", base_url="http://127.0.0.1:9/v1"))
    )
    assert [(pong.name, pong.price) for pong in pongs] == [("a", "the simulator is free"), ("b", "")]
    assert isinstance(pongs[0], Pong)
    assert pongs[0].error == ""


async def test_an_embedding_model_is_asked_for_a_vector() -> None:
    async with serve(SimulatorOptions()) as server:
        line = ModelLine(provider="openai", model="bge-embed", base_url=f"{server.base_url}/v1")
        pong = await ping("e", line)
        assert server.counts == {("/v1/embeddings", 200): 1}
    assert pong.error == ""
    assert "bge-embed" in pong.reported
