"""The simulator: started in this process on loopback at first use, and talked to over the very same code as OpenAI's API."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack

from gen.llm.provider import Endpoint, HeaderSink, Provider
from gen.llm.providers.openai import OpenAIProvider
from gen.recipe import ModelLine
from gen.simulator.options import from_mapping
from gen.simulator.server import serve
from gen.types import Request, Response


class SimulatorProvider:
    """A server of our own and the OpenAI client that speaks to it; models with equal options share both."""

    def __init__(self, endpoint: Endpoint, on_headers: HeaderSink) -> None:
        self._options = from_mapping(json.loads(endpoint.options or "{}"))
        self._on_headers = on_headers
        self._opening = asyncio.Lock()
        self._opened = AsyncExitStack()
        self._inner: OpenAIProvider | None = None

    async def send(self, request: Request, line: ModelLine) -> Response:
        return await (self._inner or await self._open()).send(request, line)

    async def embed(self, request: Request, line: ModelLine) -> Response:
        return await (self._inner or await self._open()).embed(request, line)

    async def close(self) -> None:
        if self._inner is not None:
            await self._inner.close()
        await self._opened.aclose()

    async def _open(self) -> OpenAIProvider:
        async with self._opening:
            if self._inner is None:
                server = await self._opened.enter_async_context(serve(self._options))
                there = Endpoint("openai", f"{server.base_url.rstrip('/')}/v1", self._options.api_key or "")
                self._inner = OpenAIProvider(there, self._on_headers)
            return self._inner


def connect(endpoint: Endpoint, on_headers: HeaderSink) -> Provider:
    """The provider for `endpoint`."""
    return SimulatorProvider(endpoint, on_headers)
