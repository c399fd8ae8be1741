from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx2
import pytest
import respx

from gen.errors import ProviderError, RateLimited, RequestRejected, ServiceStopped, Unavailable
from gen.llm.provider import Endpoint
from gen.llm.providers.anthropic import AnthropicProvider, build_payload, parse_response
from gen.recipe import ModelLine
from gen.types import Message, Request, Sampling, Usage

Ask = Callable[..., Request]
LINE = ModelLine(provider="anthropic", model="claude-haiku-4-5")
KEY = "sk-ant-very-secret-1234567890"
URL = "https://api.anthropic.com/v1/messages"


def message(**more: Any) -> dict[str, Any]:
    return {
        "model": "claude-haiku-4-5-20251001",
        "content": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "hi"}, {"type": "text", "text": "!"}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 7, "output_tokens": 2, "cache_read_input_tokens": 5, "cache_creation_input_tokens": 1},
    } | more


async def send(request: Request) -> Any:
    endpoint = Endpoint("anthropic", "https://api.anthropic.com", KEY)
    provider = AnthropicProvider(endpoint, lambda *_: None, http_client=httpx2.AsyncClient())
    try:
        return await provider.send(request, LINE)
    finally:
        await provider.close()


def test_system_turns_go_apart(ask: Ask) -> None:
    turns = (
        Message("system", "be kind"),
        Message("user", "a"),
        Message("assistant", "b"),
        Message("system", "be brief"),
        Message("user", "c"),
    )
    body = build_payload(ask(messages=turns, sampling=Sampling(temperature=1.4, top_p=0.9, stop=("END",))), LINE)
    assert body == {
        "model": "claude-haiku-4-5",
        "max_tokens": 1024,
        "system": "be kind\n\nbe brief",
        "messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}],
        "temperature": 1.0,
        "stop_sequences": ["END"],
    }


def test_a_raw_prompt_is_refused_by_name() -> None:
    with pytest.raises(RequestRejected) as caught:
        build_payload(Request(model="critic", prompt="x"), LINE)
    assert caught.value.reason == "raw_prompt_unsupported"


def test_a_schema_is_structured_output_or_asked_for_in_the_prompt(ask: Ask) -> None:
    request = ask(response_schema='{"type":"object"}')
    assert build_payload(request, LINE)["output_config"]["format"] == {"type": "json_schema", "schema": {"type": "object"}}
    old = build_payload(request, LINE.model_copy(update={"model": "claude-3-haiku-20240307"}))
    assert "output_config" not in old
    assert '{"type":"object"}' in old["system"]


def test_a_reply_is_read() -> None:
    reply = parse_response(json.dumps(message()).encode(), {"x-sluice-simulated": "1"})
    assert (reply.text, reply.finish_reason, reply.usage) == ("hi!", "stop", Usage(13, 2, 5, 1))
    assert (reply.model, reply.simulated) == ("claude-haiku-4-5-20251001", True)


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("tool_use", "tool_calls"),
        ("refusal", "refusal"),
        ("pause_turn", "unknown"),
        (None, "unknown"),
    ],
)
def test_every_stop_reason_is_mapped(said: str | None, reason: str) -> None:
    assert parse_response(json.dumps(message(stop_reason=said)).encode(), {}).finish_reason == reason


@pytest.mark.parametrize("body", [b"<html>", b"{}", b'{"content": []}', b'{"content": [5]}', b'{"content": "x"}', b"[]"])
def test_a_body_that_is_no_message_is_a_passing_billed_fault(body: bytes) -> None:
    with pytest.raises(Unavailable) as caught:
        parse_response(body, {})
    assert (caught.value.reason, caught.value.billed) == ("malformed_reply", True)


def test_a_refusal_without_a_text_is_a_reply() -> None:
    assert parse_response(json.dumps(message(content=[], stop_reason="refusal")).encode(), {}).finish_reason == "refusal"


async def test_one_call_over_the_sdk(wire: respx.MockRouter, ask: Ask) -> None:
    route = wire.post(URL).respond(json=message())
    assert (await send(ask(draw=3))).text == "hi!"
    assert route.calls.last.request.headers["authorization"] == f"Bearer {KEY}"  # as this SDK does today
    assert "seed" not in json.loads(route.calls.last.request.content)
    assert "x-sluice-draw" not in route.calls.last.request.headers


@pytest.mark.parametrize(
    ("status", "kind", "words", "error", "reason"),
    [
        (400, "invalid_request_error", "prompt is too long: 210000 tokens", RequestRejected, "context_too_long"),
        (400, "invalid_request_error", "Your credit balance is too low", ServiceStopped, "quota_exhausted"),
        (400, "invalid_request_error", "x", RequestRejected, "bad_request"),
        (401, "authentication_error", "invalid x-api-key", ServiceStopped, "invalid_key"),
        (404, "not_found_error", "model", RequestRejected, "not_found"),
        (429, "rate_limit_error", "x", RateLimited, "rate_limited"),
        (500, "api_error", "x", Unavailable, "server_error"),
        (529, "overloaded_error", "x", Unavailable, "overloaded"),
    ],
)
async def test_statuses_become_our_errors(
    status: int, kind: str, words: str, error: type[ProviderError], reason: str, wire: respx.MockRouter, ask: Ask
) -> None:
    route = wire.post(URL).respond(status, json={"type": "error", "error": {"type": kind, "message": words}})
    with pytest.raises(error) as caught:
        await send(ask())
    assert (caught.value.reason, caught.value.status, route.call_count) == (reason, status, 1)


async def test_no_key_gets_into_an_error(wire: respx.MockRouter, ask: Ask) -> None:
    wire.post(URL).respond(401, json={"error": {"message": f"key {KEY} is unknown"}})
    with pytest.raises(ServiceStopped) as caught:
        await send(ask())
    assert "secret" not in str(caught.value)
