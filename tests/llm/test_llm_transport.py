"""The SDKs' http client over real sockets: replies whole and decoded, no redirect, no cookie, the environment's proxy, failures as ours."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from gen.errors import ServiceStopped, Unavailable
from gen.llm.provider import Endpoint
from gen.llm.providers import anthropic, openai
from gen.llm.transport import proxy_of
from gen.recipe import ModelLine
from gen.types import Message, Request

REQUEST = Request(model="writer", messages=(Message("user", "Hello"),))
CHAT = {"choices": [{"message": {"content": "Hi"}, "finish_reason": "stop"}], "usage": {"prompt_tokens": 1, "completion_tokens": 1}}
MESSAGE = {"content": [{"type": "text", "text": "Hi"}], "stop_reason": "end_turn", "usage": {"input_tokens": 1, "output_tokens": 1}}
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@asynccontextmanager
async def server(handler: Handler) -> AsyncIterator[str]:
    """The address of a server on loopback that answers everything with `handler`."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def ask(base_url: str, *, times: int = 1, provider: str = "openai") -> str:
    endpoint = Endpoint(provider, base_url, "not-a-key")
    line = ModelLine(provider=provider, model="m", base_url=base_url)
    one = (openai if provider == "openai" else anthropic).connect(endpoint, lambda *_: None)
    try:
        for _ in range(times):
            reply = await one.send(REQUEST, line)
        return reply.text
    finally:
        await one.close()


async def test_a_compressed_reply_is_decoded() -> None:
    async def handler(request: web.Request) -> web.Response:
        assert "gzip" in request.headers["accept-encoding"]
        return web.Response(body=gzip.compress(json.dumps(CHAT).encode()), headers={"content-encoding": "gzip"})

    async with server(handler) as address:
        assert await ask(f"{address}/v1") == "Hi"


@pytest.mark.parametrize("base_path", ["/v1", "/v1/", "/a path/v1"], ids=["plain", "slash at its end", "with a space"])
async def test_the_key_and_the_body_arrive_at_the_right_address(base_path: str) -> None:
    seen: list[tuple[str, str, str]] = []

    async def handler(request: web.Request) -> web.Response:
        seen.append((request.path, request.headers["authorization"], (await request.json())["model"]))
        return web.json_response(CHAT)

    async with server(handler) as address:
        await ask(address + base_path)
    assert seen == [(f"{base_path.rstrip('/')}/chat/completions", "Bearer not-a-key", "m")]


async def test_anthropic_messages_go_the_same_way() -> None:
    seen: list[tuple[str, str]] = []

    async def handler(request: web.Request) -> web.Response:
        seen.append((request.path, request.headers["authorization"]))
        return web.json_response(MESSAGE)

    async with server(handler) as address:
        assert await ask(address, provider="anthropic") == "Hi"
        assert await ask(f"{address}/v1", provider="anthropic") == "Hi"
    assert seen == [("/v1/messages", "Bearer not-a-key")] * 2


async def test_connections_are_kept_and_cookies_are_not() -> None:
    peers: set[object] = set()

    async def handler(request: web.Request) -> web.Response:
        assert "cookie" not in request.headers
        assert request.transport is not None
        peers.add(request.transport.get_extra_info("peername"))
        return web.json_response(CHAT, headers={"set-cookie": "a=b"})

    async with server(handler) as address:
        await ask(f"{address}/v1", times=3)
    assert len(peers) == 1


async def test_a_redirect_is_never_followed_with_the_key() -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(status=307, headers={"location": "/elsewhere"})

    async with server(handler) as address:
        with pytest.raises(ServiceStopped, match="a redirect") as caught:
            await ask(f"{address}/v1")
    assert caught.value.reason == "redirected"


async def test_the_environments_proxy_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    async def handler(request: web.Request) -> web.Response:
        asked.append(f"{request.host}{request.path}")
        return web.json_response(CHAT)

    async with server(handler) as proxy:
        monkeypatch.setenv("http_proxy", proxy)
        assert await ask("http://model.example/v1") == "Hi"
    assert asked == ["model.example/v1/chat/completions"]


def test_a_proxy_without_a_scheme_is_an_http_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("all_proxy", "127.0.0.1:3128")
    assert proxy_of("https://api.example/v1") == "http://127.0.0.1:3128"


def test_no_proxy_excepts_a_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://proxy.example:3128")
    monkeypatch.setenv("no_proxy", "inside.example")
    assert proxy_of("https://api.example/v1") == "http://proxy.example:3128"
    assert proxy_of("https://inside.example/v1") is None
    assert proxy_of("http://api.example/v1") is None


async def test_a_closed_port_is_unreachable_and_not_billed() -> None:
    with pytest.raises(Unavailable) as caught:
        await ask("http://127.0.0.1:9/v1")
    assert (caught.value.reason, caught.value.billed) == ("connect_failed", False)


async def test_a_body_that_ends_early_is_told_and_may_be_billed() -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        reply = web.StreamResponse(headers={"content-length": "900"})
        await reply.prepare(request)
        await reply.write(b'{"choices": [')
        assert request.transport is not None
        request.transport.close()
        return reply

    async with server(handler) as address:
        with pytest.raises(Unavailable) as caught:
            await ask(f"{address}/v1")
    assert (caught.value.reason, caught.value.billed) == ("truncated_reply", True)


async def test_a_call_that_is_called_off_gives_its_connection_back() -> None:
    async def handler(request: web.Request) -> web.Response:
        await asyncio.sleep(30)
        return web.json_response(CHAT)

    async with server(handler) as address:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await ask(f"{address}/v1")
