"""The simulator's batches: a server in this process, spoken to by the very code that speaks to OpenAI's batch API.

Its batches end with the process: the next start finds them gone and asks anew.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack

from gen.errors import ProviderError
from gen.llm.batching.api import BatchApi, Item, Look, Traces
from gen.llm.provider import Endpoint
from gen.llm.providers.openai_batch import LIMITS_OF_A_BATCH, OpenAIBatches, item_of
from gen.recipe import ModelLine
from gen.simulator.options import from_mapping
from gen.simulator.server import serve
from gen.types import Request, Response


class SimulatorBatches:
    """Opened at the first call."""

    limits = LIMITS_OF_A_BATCH

    def __init__(self, endpoint: Endpoint) -> None:
        self._options = from_mapping(json.loads(endpoint.options or "{}"))
        self._opening = asyncio.Lock()
        self._opened = AsyncExitStack()
        self._inner: OpenAIBatches | None = None

    def item(self, key: str, request: Request, line: ModelLine) -> Item:
        return item_of(key, request, line)

    async def submit(self, tag: str, items: Sequence[Item]) -> str:
        return await (await self._there()).submit(tag, items)

    async def find(self, traces: Traces) -> str:
        return await (await self._there()).find(traces)

    async def look(self, remote_id: str) -> Look:
        return await (await self._there()).look(remote_id)

    async def results(self, look: Look) -> AsyncGenerator[tuple[str, Response | ProviderError], None]:
        async for found in (await self._there()).results(look):
            yield found

    async def cancel(self, remote_id: str) -> None:
        await (await self._there()).cancel(remote_id)

    async def close(self) -> None:
        if self._inner is not None:
            await self._inner.close()
        await self._opened.aclose()

    async def _there(self) -> OpenAIBatches:
        async with self._opening:
            if self._inner is None:
                server = await self._opened.enter_async_context(serve(self._options))
                self._inner = OpenAIBatches(Endpoint("openai", f"{server.base_url}/v1", self._options.api_key or ""))
            return self._inner


def connect(endpoint: Endpoint) -> BatchApi:
    """The batch API of a simulator of its own."""
    return SimulatorBatches(endpoint)
