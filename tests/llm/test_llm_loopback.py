"""The whole client over both SDKs' aiohttp transport against a server of this process that answers as told, and the simulator."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from gen.errors import RequestRejected, ServiceStopped
from gen.llm.cache import Cache
from gen.llm.client import Client
from gen.llm.retry import Patience
from gen.recipe import ModelLine
from gen.types import Message, Request, Response

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]
QUICK = Patience(first_wait_seconds=0.001, longest_wait_seconds=0.002)
OPENAI = {
    "model": "m",
    "choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 1},
}
ANTHROPIC = {
    "model": "m",
    "content": [{"type": "text", "text": "hi"}],
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 3, "output_tokens": 1},
}
PROVIDERS = {"openai": OPENAI, "anthropic": ANTHROPIC}


@asynccontextmanager
async def server(answers: list[Answer], good: Any) -> AsyncIterator[tuple[str, list[web.Request]]]:
    """A server that answers with `answers` one after the other, then with `good`; its address and what it was asked."""
    asked: list[web.Request] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        asked.append(request)
        await request.read()
        return await answers.pop(0)(request) if answers else web.json_response(good)

    app = web.Application()
    app.router.add_post("/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1", asked
    finally:
        await runner.cleanup()


async def reset(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def truncated(request: web.Request) -> web.StreamResponse:
    reply = web.StreamResponse(headers={"content-length": "500", "content-type": "application/json"})
    await reply.prepare(request)
    await reply.write(b'{"choices": [')
    assert request.transport is not None
    request.transport.close()
    return reply


async def hang(_: web.Request) -> web.StreamResponse:
    await asyncio.sleep(0.5)
    return web.Response()


async def html(_: web.Request) -> web.StreamResponse:
    return web.Response(text="<html>proxy</html>", content_type="text/html")


async def bad_gzip(_: web.Request) -> web.StreamResponse:
    return web.Response(body=b"not gzip", headers={"content-encoding": "gzip"})


def status(code: int, **headers: str) -> Answer:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.json_response({"error": {"message": "told to"}}, status=code, headers=headers)

    return answer


def models(provider: str, base_url: str, **more: Any) -> dict[str, ModelLine]:
    return {"writer": ModelLine.model_validate({"provider": provider, "model": "m", "base_url": base_url} | more)}


ASK = Request(model="writer", messages=(Message("user", "hello"),))


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize(
    "fault", [reset, truncated, hang, html, bad_gzip, status(500), status(503), status(529), status(409)], ids=lambda fault: fault.__name__
)
async def test_passing_faults_are_asked_again(provider: str, fault: Answer) -> None:
    async with server([fault, fault], PROVIDERS[provider]) as (url, asked):
        async with Client(models(provider, url, timeout_seconds=0.2 if fault is hang else 30), cache=None, patience=QUICK) as client:
            assert (await client.generate(ASK)).text == "hi"
            assert client.stats.retries == 2
        assert len(asked) == 3


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_twelve_429s_spend_no_attempt_on_the_wire(provider: str) -> None:
    limited = status(429, **{"retry-after-ms": "1"})
    async with server([limited] * 12, PROVIDERS[provider]) as (url, asked):
        async with Client(models(provider, url), cache=None, patience=QUICK) as client:
            assert (await client.generate(ASK)).text == "hi"
        assert len(asked) == 13


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize(("code", "kind"), [(400, RequestRejected), (401, ServiceStopped)])
async def test_final_answers_are_asked_once(provider: str, code: int, kind: type[Exception]) -> None:
    async with server([status(code)] * 3, PROVIDERS[provider]) as (url, asked):
        async with Client(models(provider, url), cache=None) as client:
            with pytest.raises(kind):
                await client.generate(ASK)
        assert len(asked) == 1


async def test_a_redirect_is_not_followed_with_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_API_KEY", "sk-local-secret")
    async with server([], OPENAI) as (elsewhere, stolen), server([status(307, location=elsewhere)], OPENAI) as (url, _):
        async with Client(models("openai", url, api_key_env="LOCAL_API_KEY"), cache=None) as client:
            with pytest.raises(ServiceStopped, match="final address"):
                await client.generate(ASK)
        assert stolen == []


async def test_a_server_that_is_not_there_is_unreachable() -> None:
    async with server([], OPENAI) as (url, _):
        pass
    async with Client(models("openai", url), cache=None, patience=QUICK) as client:
        with pytest.raises(Exception, match="cannot be reached") as caught:
            await client.generate(ASK)
    assert caught.value.reason == "connect_failed"  # type: ignore[attr-defined]


async def test_max_tokens_and_seed_are_always_sent() -> None:
    bodies: list[Any] = []

    async def keep(request: web.Request) -> web.StreamResponse:
        bodies.append(json.loads(await request.text()))
        return web.json_response(OPENAI)

    async with server([keep], OPENAI) as (url, _), Client(models("openai", url), cache=None) as client:
        await client.generate(ASK)
    assert (bodies[0]["max_tokens"], bodies[0]["seed"]) == (1024, 0)


# --- the simulator -------------------------------------------------------------------------------------------------------------


async def many(client: Client, n: int = 30) -> list[Response]:
    return list(
        await asyncio.gather(*(client.generate(Request(model="writer", messages=(Message("user", f"Ask {k}"),), draw=k)) for k in range(n)))
    )


def simulator(**options: Any) -> dict[str, ModelLine]:
    return {"writer": ModelLine(provider="simulator", simulator={"seed": 3} | options)}


async def test_the_simulator_needs_no_key_and_says_what_it_is() -> None:
    async with Client(simulator(), cache=None) as client:
        [reply] = await many(client, 1)
    assert reply.simulated
    assert reply.text
    assert reply.cost == 0.0
    assert reply.usage.output_tokens > 0


async def test_faults_change_no_text_and_lose_no_reply() -> None:
    async with Client(simulator(), cache=None) as client:
        calm = await many(client)
    faults = {"server_error": 0.1, "rate_limit": 0.1, "reset": 0.05, "truncated_body": 0.05, "invalid_json": 0.05}
    async with Client(simulator(faults=faults, retry_after_seconds=0.001), cache=None, patience=QUICK) as client:
        stormy = await many(client)
    assert [reply.text for reply in stormy] == [reply.text for reply in calm]


async def test_a_second_run_replays_the_simulator_from_the_cache(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache.db")
    async with Client(simulator(), cache=cache) as client:
        first = await many(client)
    async with Client(simulator(latency_ms=5), cache=cache) as client:
        second = await many(client)
        assert (client.stats.requests, client.stats.cache_hits) == (0, 30)
    await cache.close()
    assert [reply.text for reply in second] == [reply.text for reply in first]
    assert all(reply.simulated for reply in second)


async def test_a_limit_of_the_simulator_is_kept_when_the_recipe_states_it() -> None:
    limited = {"writer": ModelLine(provider="simulator", simulator={"requests_per_minute": 6000}, requests_per_minute=6000)}
    async with Client(limited, cache=None) as client:
        await many(client, 60)
        assert client.stats.rate_limited == 0
