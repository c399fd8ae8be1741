from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx2
import orjson
import pytest
import respx

from gen.errors import ProviderError, RateLimited, RequestRejected, ServiceStopped, Unavailable
from gen.llm.provider import Endpoint
from gen.llm.providers.openai import OpenAIProvider, build_payload, is_closed, parse_response
from gen.recipe import ModelLine
from gen.types import Message, Request, Sampling, Usage

Line = Callable[..., ModelLine]
Ask = Callable[..., Request]
KEY = "sk-very-secret-key-1234567890"
URL = "http://server.test/v1/chat/completions"


def completion(**more: Any) -> dict[str, Any]:
    return {
        "model": "m-2026",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 7, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 5}},
    } | more


def choice(message: Any, reason: str = "stop") -> bytes:
    return json.dumps(completion(choices=[{"message": message, "finish_reason": reason}])).encode()


async def send(request: Request, line: ModelLine, heard: list[Any] | None = None) -> Any:
    heard = [] if heard is None else heard
    endpoint = Endpoint("openai", "http://server.test/v1", KEY)
    provider = OpenAIProvider(endpoint, lambda _, headers: heard.append(headers), http_client=httpx2.AsyncClient())
    try:
        return await provider.send(request, line)
    finally:
        await provider.close()


# --- what is sent --------------------------------------------------------------------------------------------------------------


def test_a_chat_request(line: Line, ask: Ask) -> None:
    path, body = build_payload(ask(draw=5, sampling=Sampling(stop=("END",))), line(temperature=0.8, extra_body={"top_k": 3}))
    assert path == "/chat/completions"
    assert body == {
        "model": "m",
        "messages": [{"role": "user", "content": "hello"}],
        "max_tokens": 1024,
        "temperature": 0.8,
        "stop": ["END"],
        "seed": 5,
        "top_k": 3,
    }


def test_a_raw_prompt_goes_to_completions(line: Line) -> None:
    path, body = build_payload(Request(model="writer", prompt="<|user|>"), line())
    assert (path, body) == ("/completions", {"model": "m", "prompt": "<|user|>", "max_tokens": 1024, "seed": 0})


def test_openais_own_cloud_gets_its_newer_names(ask: Ask) -> None:
    _, body = build_payload(ask(sampling=Sampling(temperature=0.5)), ModelLine(provider="openai", model="o3"))
    assert body["max_completion_tokens"] == 1024
    assert "temperature" not in body


@pytest.mark.parametrize(
    ("schema", "closed"),
    [
        ({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False}, True),
        ({"type": "object", "properties": {"a": {"type": "string"}}}, False),
        ({"type": "array", "items": {"type": "object"}}, False),
        ({"type": "string"}, True),
    ],
)
def test_only_a_closed_schema_is_sent_as_strict(schema: dict[str, Any], closed: bool, line: Line, ask: Ask) -> None:
    assert is_closed(schema) is closed
    _, body = build_payload(ask(response_schema=json.dumps(schema)), line())
    assert body["response_format"]["json_schema"] == {"name": "reply", "schema": schema, "strict": closed}


def test_lone_surrogates_can_be_sent(line: Line) -> None:
    _, body = build_payload(Request(model="writer", messages=(Message("user", "a\ud800b"),)), line())
    orjson.dumps(body)


# --- what comes back -----------------------------------------------------------------------------------------------------------


def test_a_reply_is_read() -> None:
    reply = parse_response(json.dumps(completion()).encode(), {})
    assert (reply.text, reply.finish_reason, reply.usage, reply.model, reply.simulated) == ("hi", "stop", Usage(7, 2, 5), "m-2026", False)


@pytest.mark.parametrize(
    ("message", "said", "text", "reason"),
    [
        ({"content": "cut"}, "length", "cut", "length"),
        ({"content": None}, "content_filter", "", "content_filter"),
        ({"content": None, "refusal": "I can't."}, "stop", "I can't.", "refusal"),
        ({"content": None, "tool_calls": []}, "tool_calls", "", "tool_calls"),
        ({"content": None}, "length", "", "length"),
        ({"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}, "stop", "ab", "stop"),
        ({"content": ""}, "stop", "", "stop"),
        ({"content": "x"}, "brand_new", "x", "unknown"),
    ],
)
def test_every_way_to_finish_is_mapped(message: Any, said: str, text: str, reason: str) -> None:
    reply = parse_response(choice(message, said), {})
    assert (reply.text, reply.finish_reason) == (text, reason)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>gateway</html>",
        b'{"choices": [{"message": {"content": "cut o',
        b"[]",
        b"null",
        b"{}",
        b'{"choices": []}',
        b'{"choices": null}',
        b'{"choices": ["x"]}',
        b'{"choices": [{"finish_reason": "stop"}]}',
        choice({"content": None}),
        choice({"content": 5}),
        choice({"content": [{"type": "image"}]}),
        b"\xff\xfe",
        b"[" * 100_000,
    ],
    ids=range(15),
)
def test_a_body_that_is_no_completion_is_a_passing_billed_fault(body: bytes) -> None:
    with pytest.raises(Unavailable) as caught:
        parse_response(body, {})
    assert (caught.value.reason, caught.value.billed) == ("malformed_reply", True)


@pytest.mark.parametrize(
    "usage", [None, {}, {"prompt_tokens": -1, "completion_tokens": "5"}, {"prompt_tokens": True}, [], {"prompt_tokens": 2**64 - 1}]
)
def test_counts_that_are_none_count_nothing(usage: Any) -> None:
    assert parse_response(json.dumps(completion(usage=usage)).encode(), {}).usage == Usage()


def test_lone_surrogates_in_a_reply_are_replaced() -> None:
    assert parse_response(choice({"content": "a\ud800b"}), {}).text == "a\ufffdb"
    assert parse_response(json.dumps(completion(model="m\ud800")).encode(), {}).model == "m\ufffd"


@pytest.mark.parametrize(
    ("headers", "more"),
    [({"x-sluice-simulated": "1"}, {}), ({}, {"system_fingerprint": "sluice-simulated"}), ({}, {"model": "simulated/m"})],
)
def test_a_simulated_reply_is_known_wherever_it_was_reached(headers: dict[str, str], more: dict[str, Any]) -> None:
    assert parse_response(json.dumps(completion(**more)).encode(), headers).simulated


# --- the wire ------------------------------------------------------------------------------------------------------------------


async def test_one_call_over_the_sdk(wire: respx.MockRouter, line: Line, ask: Ask) -> None:
    route = wire.post(URL).respond(json=completion(), headers={"x-ratelimit-limit-requests": "9"})
    heard: list[Any] = []
    assert (await send(ask(), line(), heard)).text == "hi"
    sent = route.calls.last.request
    assert sent.headers["authorization"] == f"Bearer {KEY}"
    assert json.loads(sent.content)["messages"] == [{"role": "user", "content": "hello"}]
    assert heard[0]["x-ratelimit-limit-requests"] == "9"


@pytest.mark.parametrize(
    ("status", "error", "kind", "reason"),
    [
        (400, {"message": "bad"}, RequestRejected, "bad_request"),
        (400, {"message": "This model's maximum context length is 8192 tokens"}, RequestRejected, "context_too_long"),
        (400, {"code": "context_length_exceeded", "message": "x"}, RequestRejected, "context_too_long"),
        (400, {"code": "content_policy_violation", "message": "x"}, RequestRejected, "content_policy"),
        (404, {"message": "no such model"}, RequestRejected, "not_found"),
        (413, {"message": "too big"}, RequestRejected, "request_too_large"),
        (422, {"message": "bad"}, RequestRejected, "bad_request"),
        (401, {"message": "Incorrect API key provided"}, ServiceStopped, "invalid_key"),
        (403, {"message": "no"}, ServiceStopped, "forbidden"),
        (403, {"code": "content_policy_violation", "message": "x"}, RequestRejected, "content_policy"),
        (402, {"message": "pay"}, ServiceStopped, "quota_exhausted"),
        (429, {"code": "insufficient_quota", "message": "x"}, ServiceStopped, "quota_exhausted"),
        (307, {"message": ""}, ServiceStopped, "redirected"),
        (429, {"message": "slow"}, RateLimited, "rate_limited"),
        (408, {"message": "x"}, Unavailable, "server_conflict"),
        (409, {"message": "x"}, Unavailable, "server_conflict"),
        (500, {"message": "x"}, Unavailable, "server_error"),
        (503, {"message": "x"}, Unavailable, "overloaded"),
        (529, {"message": "x"}, Unavailable, "overloaded"),
    ],
    ids=lambda value: str(value) if isinstance(value, int) else None,
)
async def test_statuses_become_our_errors(
    status: int, error: dict[str, str], kind: type[ProviderError], reason: str, wire: respx.MockRouter, line: Line, ask: Ask
) -> None:
    route = wire.post(URL).respond(status, json={"error": error}, headers={"location": "http://elsewhere.test/"})
    with pytest.raises(kind) as caught:
        await send(ask(), line())
    assert (caught.value.reason, caught.value.status, route.call_count) == (reason, status, 1)


async def test_retry_after_is_handed_on(wire: respx.MockRouter, line: Line, ask: Ask) -> None:
    wire.post(URL).respond(429, headers={"retry-after": "20"})
    with pytest.raises(RateLimited) as caught:
        await send(ask(), line())
    assert caught.value.retry_after_seconds == 20.0


@pytest.mark.parametrize(
    ("body", "what"),
    [
        ({"error": {"message": f"Incorrect API key provided: {KEY}. Find yours at"}}, "echoed"),
        ({"error": {"message": "Incorrect API key provided: sk-ver*******7890."}}, "masked"),
        ({"detail": f"bad token: {KEY}"}, "detail"),
        (f"Bearer {KEY} refused", "text"),
    ],
    ids=lambda value: value if isinstance(value, str) and len(value) < 10 else None,
)
async def test_no_key_gets_into_an_error(body: Any, what: str, wire: respx.MockRouter, line: Line, ask: Ask) -> None:
    content = body if isinstance(body, str) else json.dumps(body)
    wire.post(URL).respond(401, content=content)
    with pytest.raises(ServiceStopped) as caught:
        await send(ask(), line())
    assert "secret" not in str(caught.value)
    assert "sk-ver" not in str(caught.value)
    assert caught.value.__cause__ is None


async def test_a_long_message_is_cut(wire: respx.MockRouter, line: Line, ask: Ask) -> None:
    wire.post(URL).respond(400, json={"error": {"message": "You said: " + "prompt " * 5000}})
    with pytest.raises(RequestRejected) as caught:
        await send(ask(), line())
    assert len(str(caught.value)) < 250


@pytest.mark.parametrize(
    ("error", "reason", "billed"),
    [
        (httpx2.ConnectError("x"), "connect_failed", False),
        (httpx2.ConnectTimeout("x"), "connect_failed", False),
        (httpx2.ReadTimeout("x"), "timeout", True),
        (httpx2.ReadError("x"), "connection_lost", True),
        (httpx2.RemoteProtocolError("x"), "connection_lost", True),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
async def test_broken_connections_become_unavailable(
    error: Exception, reason: str, billed: bool, wire: respx.MockRouter, line: Line, ask: Ask
) -> None:
    wire.post(URL).mock(side_effect=error)
    with pytest.raises(Unavailable) as caught:
        await send(ask(), line())
    assert (caught.value.reason, caught.value.billed) == (reason, billed)
