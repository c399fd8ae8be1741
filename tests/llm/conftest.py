"""What the client's tests share: a clock that waits for nobody, model lines and requests."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import respx
from respx.mocks import HTTPCoreMocker

from gen.llm.clock import Clock
from gen.recipe import ModelLine
from gen.types import Message, Request


class FakeTime:
    """A clock whose sleep is over at once and moves the time on; `slept` lists what was asked for."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []
        self.clock = Clock(monotonic=lambda: self.now, wall=lambda: 1_800_000_000.0 + self.now, sleep=self._sleep)

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


@pytest.fixture
def time() -> FakeTime:
    return FakeTime()


@pytest.fixture
def line() -> Callable[..., ModelLine]:
    """A model line of a local OpenAI-compatible server; keyword arguments change it."""

    def make(**more: Any) -> ModelLine:
        return ModelLine.model_validate(
            {"provider": "openai", "model": "m", "base_url": "http://server.test/v1", "price": {"input": 1, "output": 2}} | more
        )

    return make


@pytest.fixture
def ask() -> Callable[..., Request]:
    """A request to `writer` that says `text`; keyword arguments change it."""

    def make(text: str = "hello", **more: Any) -> Request:
        return Request(**({"model": "writer", "messages": (Message("user", text),)} | more))

    return make


@pytest.fixture
def wire() -> Iterator[respx.MockRouter]:
    """respx over the transport that both SDKs use today."""
    HTTPCoreMocker.add_targets("httpcore2._async.connection_pool.AsyncConnectionPool", "httpcore2._async.connection.AsyncHTTPConnection")
    with respx.mock(assert_all_called=False) as router:
        yield router
