from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from gen.errors import BudgetReached, RequestRejected, Unavailable
from gen.llm.cache import Cache
from gen.llm.client import Client
from gen.llm.embedding import parse_response, portions, vector_of
from gen.llm.providers.scripted import ScriptedProvider
from gen.llm.retry import Patience
from gen.recipe import BudgetLine, ModelLine
from gen.simulator.options import SimulatorOptions
from gen.simulator.server import serve
from gen.simulator.vectors import embed as simulated_vector

ROUTE = "/v1/embeddings"


def line(base_url: str, **more: Any) -> ModelLine:
    return ModelLine.model_validate(
        {"provider": "openai", "model": "e5", "base_url": f"{base_url}/v1", "price": {"input": 2, "output": 0}} | more
    )


async def test_vectors_come_in_the_order_asked_and_are_bought_once(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache.db")
    texts = ["tides and moons", "bread", "tides and moons", "the sea"]
    async with serve(SimulatorOptions()) as server:
        async with Client({"e": line(server.base_url)}, cache=cache) as client:
            found = await client.embed(texts, model="e")
            more = await client.embed(["bread", "cheese"], model="e")
            stats = client.stats
        async with Client({"e": line(server.base_url)}, cache=cache) as later:
            again = await later.embed(texts, model="e")
            assert (later.stats.requests, later.stats.cache_hits) == (0, 3)
        assert server.counts[(ROUTE, 200)] == 2
    await cache.close()
    assert found == again
    assert found[0] == found[2]
    assert found[1] == more[0]
    assert list(found[1]) == pytest.approx(simulated_vector("bread", 384), abs=1e-6)
    assert (stats.requests, stats.cache_hits, stats.output_tokens) == (2, 1, 0)
    assert stats.cost == pytest.approx(stats.input_tokens * 2 / 1e6)
    assert stats.cost


async def test_many_texts_go_in_portions_that_the_service_takes_and_faults_are_retried() -> None:
    options = SimulatorOptions(faults={"server_error": 0.3}, seed=3)
    async with serve(options) as server:
        own = line(server.base_url, capabilities={"embedding_inputs": 4})
        async with Client({"e": own}, cache=None, patience=Patience(first_wait_seconds=0.001)) as client:
            found = await client.embed([f"text {number}" for number in range(30)], model="e")
        assert server.counts[(ROUTE, 200)] == 8
        assert client.stats.retries == server.counts[(ROUTE, 500)] > 0
    assert len({tuple(vector) for vector in found}) == 30


async def test_a_budget_holds_for_embeddings() -> None:
    async with serve(SimulatorOptions()) as server, Client({"e": line(server.base_url)}, budget=BudgetLine(usd=1e-6), cache=None) as client:
        with pytest.raises(BudgetReached):
            await client.embed(["a text of some length"], model="e")
        assert server.counts[(ROUTE, 200)] == 0


async def test_the_simulator_of_a_recipe_makes_vectors() -> None:
    async with Client({"e": ModelLine()}, cache=None) as client:
        (vector,) = await client.embed(["bread"], model="e")
    assert len(vector) == 384


async def test_what_cannot_be_embedded_is_told_before_anything_is_sent() -> None:
    async with Client({"e": line("http://server.test")}, cache=None) as client:
        with pytest.raises(RequestRejected, match="an empty text"):
            await client.embed(["a", " "], model="e")
    async with Client({"e": line("http://server.test")}, cache=None, providers={"e": ScriptedProvider([])}) as client:
        with pytest.raises(RequestRejected, match="makes no embeddings"):
            await client.embed(["a"], model="e")


@pytest.mark.parametrize(
    "data",
    [
        [],
        [{"embedding": [1.0]}],
        [{"embedding": [1.0]}, {"embedding": [1.0, 2.0]}],
        [{"embedding": [1.0]}, {"embedding": "!!"}],
        [{"embedding": [1.0]}, {"embedding": [1e39]}],
        [{"embedding": [1.0]}, {"embedding": []}],
        [{"embedding": [1.0], "index": 0}, {"embedding": [1.0], "index": 0}],
        "none",
    ],
)
def test_a_reply_without_a_vector_for_each_text_is_malformed(data: Any) -> None:
    with pytest.raises(Unavailable) as caught:
        parse_response(json.dumps({"data": data}).encode(), {}, 2)
    assert (caught.value.reason, caught.value.billed) == ("malformed_reply", True)


def test_lists_and_base64_are_both_read_and_put_in_order() -> None:
    body = {"data": [{"index": 1, "embedding": [3.0, 4.0]}, {"index": 0, "embedding": "AACAPwAAAEA="}], "usage": {"prompt_tokens": 5}}
    reply = parse_response(json.dumps(body).encode(), {}, 2)
    assert [list(vector_of(row)) for row in reply.text.split("\n")] == [[1.0, 2.0], [3.0, 4.0]]
    assert reply.usage.input_tokens == 5


def test_a_portion_is_bounded_in_texts_and_in_bytes() -> None:
    assert [len(one) for one in portions(["x" * 10] * 7, inputs=3, size=1000)] == [3, 3, 1]
    assert [len(one) for one in portions(["ä" * 10] * 4, inputs=99, size=40)] == [2, 2]


async def test_equal_portions_asked_at_once_are_sent_once() -> None:
    async with serve(SimulatorOptions(latency_ms=30)) as server, Client({"e": line(server.base_url)}, cache=None) as client:
        first, second = await asyncio.gather(*(client.embed(["a", "b"], model="e") for _ in range(2)))
        assert server.counts[(ROUTE, 200)] == 1
    assert first == second


async def test_a_text_that_two_ask_for_at_once_is_bought_once_and_asked_again_where_the_first_failed() -> None:
    async with serve(SimulatorOptions()) as server, Client({"e": line(server.base_url)}, cache=None) as client:
        first, second = await asyncio.gather(client.embed(["bread", "the sea"], model="e"), client.embed(["the sea", "tides"], model="e"))
        single = client.stats.input_tokens
        await client.embed(["bread", "the sea", "tides"], model="e")
        assert client.stats.input_tokens == 2 * single
        leaving = asyncio.create_task(client.embed(["cheese"], model="e"))
        await asyncio.sleep(0)
        staying = asyncio.create_task(client.embed(["cheese", "wine"], model="e"))
        await asyncio.sleep(0)
        leaving.cancel()
        assert len(await staying) == 2
        assert client._embedding == {}
    assert first[1] == second[0]
