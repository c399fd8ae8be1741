"""Whatever happens in whatever order: no cap is passed, nothing stays reserved, nobody waits for ever."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from gen.errors import ProviderError, RateLimited, RequestRejected, Unavailable
from gen.llm.budget import NANO, Amount
from gen.llm.cache import Cache
from gen.llm.client import Client
from gen.llm.retry import Patience
from gen.recipe import BudgetLine, ModelLine
from gen.types import Message, Request, Response, Usage

DOCUMENT = Message("system", "word " * 3000)  # long enough to be kept by the provider: these calls warm up
PATIENCE = Patience(first_wait_seconds=0.001, longest_wait_seconds=0.004, landing_seconds=0.1)


class Erratic:
    """A service that answers, refuses, fails and hangs at random, and counts what it would charge."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self.charged: Counter[str] = Counter()
        self.open = 0

    async def send(self, request: Request, line: ModelLine) -> Response:
        self.open += 1
        try:
            for _ in range(self._rng.randint(0, 3)):
                await asyncio.sleep(self._rng.choice((0, 0, 0.001)))
            return await self._outcome(request, line)
        finally:
            self.open -= 1

    async def _outcome(self, request: Request, line: ModelLine) -> Response:
        chance = self._rng.random()
        if chance < 0.1:
            raise RateLimited("slow down", retry_after_seconds=self._rng.choice((None, 0.001)))
        if chance < 0.14:
            raise Unavailable("not there", reason="connect_failed")
        if chance < 0.17:
            await asyncio.Event().wait()
        self.charged["calls"] += 1
        if chance < 0.24:
            raise Unavailable("down", reason="overloaded", status=503)
        if chance < 0.27:
            raise RequestRejected("bad", reason="bad_request", status=400)
        usage = Usage(self._rng.randint(1, sum(len(one.content) for one in request.messages)), self._rng.randint(0, line.max_tokens))
        self.charged["tokens"] += usage.input_tokens + usage.output_tokens
        self.charged["nano_usd"] += (usage.input_tokens * 3 + usage.output_tokens * 15) * NANO // 1_000_000
        if chance < 0.32:
            raise Unavailable("broke off", reason="truncated_reply", billed=True)
        return Response("text", usage=usage, model=line.model)

    async def close(self) -> None: ...


def a_cap(rng: random.Random) -> dict[str, float]:
    name, least, most = rng.choice((("calls", 1, 40), ("tokens", 2000, 40_000), ("usd", 0.001, 0.1)))
    return {name: rng.uniform(least, most) if name == "usd" else rng.randint(int(least), int(most))}


@pytest.mark.parametrize("seed", range(9))
async def test_no_order_of_events_passes_a_cap_or_leaves_anything_behind(seed: int, tmp_path: Path) -> None:
    rng = random.Random(seed)
    service, cap = Erratic(rng), a_cap(rng)
    line = ModelLine.model_validate(
        {
            "provider": "anthropic",
            "model": "claude-sonnet-4-5",
            "max_tokens": 50,
            "timeout_seconds": 0.02,
            "price": {"input": 3, "output": 15},
        }
        | {"max_concurrency": rng.randint(1, 20)}
    )
    cache = Cache(tmp_path / "cache.db") if seed % 2 else None
    more: dict[str, Any] = {"budget": BudgetLine.model_validate(cap), "providers": {"writer": service}, "rng": rng, "patience": PATIENCE}

    async def one(generate: Callable[[Request], Any], number: int) -> None:
        await asyncio.sleep(rng.random() * 0.02)
        question = Message("user", f"Question {number % 40} " * rng.randint(1, 9))
        turns = (DOCUMENT, question) if rng.random() < 0.1 else (question,)
        with suppress(ProviderError):
            await generate(Request(model="writer", messages=turns, step=rng.randint(0, 2), draw=rng.randint(0, 1)))

    async with Client({"writer": line}, cache=cache, **more) as client:
        tasks = [asyncio.create_task(one(client.generate, number)) for number in range(70)]
        async with asyncio.timeout(60):
            for _ in range(25):
                await asyncio.sleep(rng.random() * 0.004)
                rng.choice(tasks).cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
    budget = client._flights._budget
    for name, most in cap.items():
        field, unit = ("nano_usd", NANO) if name == "usd" else (name, 1)
        assert service.charged[field] <= getattr(budget.spent, field) <= most * unit
    assert (budget.reserved, budget._waiters, client._flights._flights) == (Amount(), [], {})
    assert (client.stats.in_flight, service.open, [one.admission.in_flight for one in client._models.values()]) == (0, 0, [0])
    if cache is not None:
        await cache.close()
