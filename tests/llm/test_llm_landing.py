"""Calls on the wire when a run is ended: counted at the server, whose handlers are cancelled where a client leaves."""

from __future__ import annotations

import asyncio
from pathlib import Path

from gen.llm.cache import Cache
from gen.llm.client import Client
from gen.llm.retry import Patience
from gen.recipe import ModelLine
from gen.simulator.options import SimulatorOptions
from gen.simulator.server import serve
from gen.types import Message, Request

COMPLETIONS = "/v1/chat/completions"


def asked(number: int) -> Request:
    return Request(model="writer", messages=(Message("user", f"What is {number}?"),), draw=number)


async def ended_early(base_url: str, cache: Cache, *, landing_seconds: float) -> int:
    """Ask five questions, end while three are on the wire, and say how many replies were paid for."""
    line = ModelLine(provider="openai", model="m", base_url=f"{base_url}/v1", max_concurrency=3)
    async with Client({"writer": line}, cache=cache, patience=Patience(landing_seconds=landing_seconds)) as client:
        tasks = [asyncio.create_task(client.generate(asked(number))) for number in range(5)]
        while client.stats.in_flight < 3:
            await asyncio.sleep(0.005)
        await asyncio.sleep(0.05)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return client.stats.replies


async def test_replies_on_the_wire_are_kept_and_never_paid_twice(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache.db")
    async with serve(SimulatorOptions(latency_ms=200)) as server:
        assert await ended_early(server.base_url, cache, landing_seconds=10) == 3
        assert server.counts[(COMPLETIONS, 200)] == 3
        line = ModelLine(provider="openai", model="m", base_url=f"{server.base_url}/v1", max_concurrency=3)
        async with Client({"writer": line}, cache=cache) as client:
            await asyncio.gather(*(client.generate(asked(number)) for number in range(5)))
        assert server.counts[(COMPLETIONS, 200)] == 5
        assert client.stats.cache_hits == 3
    await cache.close()


async def test_without_time_to_land_they_are_called_off(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache.db")
    async with serve(SimulatorOptions(latency_ms=200)) as server:
        assert await ended_early(server.base_url, cache, landing_seconds=0) == 0
    await cache.close()
