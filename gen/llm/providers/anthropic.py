"""Anthropic's messages API. The system turns go apart, there is no seed and no raw prompt, and the temperature ends at 1."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import anthropic
import httpx2
import orjson

from gen.errors import ProviderError, RequestRejected
from gen.llm.capabilities import capabilities_of, sampling
from gen.llm.connection import NO_KEY, TIMEOUT, WIRE_ERRORS, connection_error
from gen.llm.prefix import kept_turns
from gen.llm.provider import CAPABILITIES, Endpoint, HeaderSink, Provider, by_prompt
from gen.llm.transport import DirectClient
from gen.llm.wire import count, finish_reason, malformed, mapping, model_name, parse_object, simulated, status_error, well_formed
from gen.recipe import ModelLine
from gen.simulator.marks import DRAW_HEADER
from gen.types import FinishReason, Request, Response, Usage, thaw

_CAPABILITIES = CAPABILITIES["anthropic"]
_JSON_HEADERS = {"Content-Type": "application/json"}

FINISH_REASONS: Mapping[str, FinishReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "refusal",
}


class AnthropicProvider:
    """One pool of connections for all of Anthropic's models."""

    def __init__(self, endpoint: Endpoint, on_headers: HeaderSink, *, http_client: httpx2.AsyncClient | None = None) -> None:
        self._secret = endpoint.api_key
        # Whole, so that the SDK need not put it together anew.
        self._address = f"{endpoint.base_url.rstrip('/').removesuffix('/v1')}/v1/messages"
        self._on_headers = on_headers
        self._own_cloud = endpoint.base_url == _CAPABILITIES.base_url
        self._client = anthropic.AsyncAnthropic(
            api_key=endpoint.api_key or NO_KEY,
            base_url=endpoint.base_url.removesuffix("/v1"),  # the SDK adds it
            max_retries=0,
            timeout=TIMEOUT,
            http_client=http_client or DirectClient(endpoint.base_url),
        )

    async def send(self, request: Request, line: ModelLine) -> Response:
        payload = build_payload(request, line)
        try:
            reply = await self._client.post(
                self._address, cast_to=httpx2.Response, content=orjson.dumps(payload), options={"headers": self._headers(request)}
            )
        except anthropic.APIStatusError as error:
            self._on_headers(line, error.response.headers)
            raise to_error(error.response, self._secret) from None  # the SDK's error holds the key in its request
        except (anthropic.APIConnectionError, *WIRE_ERRORS) as error:
            raise connection_error("anthropic", error) from None
        self._on_headers(line, reply.headers)
        return parse_response(reply.content, reply.headers)

    def _headers(self, request: Request) -> dict[str, str]:
        """The API has no seed; a simulator behind another address tells equal prompts apart by a header instead."""
        return _JSON_HEADERS if self._own_cloud else _JSON_HEADERS | {DRAW_HEADER: str(request.draw)}

    async def close(self) -> None:
        await self._client.close()


def connect(endpoint: Endpoint, on_headers: HeaderSink) -> Provider:
    """The provider for `endpoint`."""
    return AnthropicProvider(endpoint, on_headers)


def build_payload(request: Request, line: ModelLine) -> dict[str, Any]:
    """The body for /v1/messages.

    Raises RequestRejected `raw_prompt_unsupported` for a raw prompt. Where the model has no structured output, the schema is asked for
    in the system prompt. Of temperature and top_p only the temperature is sent where the model refuses both together, and neither where it
    takes none.
    """
    if request.prompt is not None:
        raise RequestRejected("anthropic has no raw prompts: use a provider with a completions endpoint", reason="raw_prompt_unsupported")
    chosen, able = sampling(request, line), capabilities_of(line)
    system = [well_formed(message.content) for message in request.messages if message.role == "system"]
    turns = [{"role": message.role, "content": well_formed(message.content)} for message in request.messages if message.role != "system"]
    body: dict[str, Any] = {"model": line.model, "max_tokens": chosen.max_tokens, "messages": turns}
    if request.response_schema is not None:
        if not able.json_schema:
            system.append(by_prompt(request.response_schema))
        else:
            body["output_config"] = {"format": {"type": "json_schema", "schema": orjson.loads(request.response_schema)}}
    if system:
        body["system"] = "\n\n".join(system)
    _mark(body, request, line)
    if chosen.temperature is not None and able.temperature:
        body["temperature"] = min(chosen.temperature, able.max_temperature)
    if chosen.top_p is not None and able.top_p and ("temperature" not in body or able.temperature_with_top_p):
        body["top_p"] = chosen.top_p
    if chosen.stop:
        body["stop_sequences"] = list(chosen.stop)
    extra: dict[str, Any] = thaw(line.extra_body)
    return body | extra


def _mark(body: dict[str, Any], request: Request, line: ModelLine) -> None:
    """Tell where the beginning ends that is to be kept: after the system text, or after the last user turn that belongs to it."""
    kept = kept_turns(request, line)
    turns = sum(message.role != "system" for message in request.messages[:kept])
    if turns:
        body["messages"][turns - 1]["content"] = _kept(body["messages"][turns - 1]["content"])
    elif kept:
        body["system"] = _kept(body["system"])


def _kept(text: str) -> list[dict[str, Any]]:
    return [{"type": "text", "text": text, "cache_control": {"type": "ephemeral"}}]


def parse_response(body: bytes, headers: Mapping[str, str]) -> Response:
    """The reply in a 200's body; `key`, `cost` and `from_cache` are the client's to fill.

    Raises Unavailable `malformed_reply` for anything that is not a message.
    """
    value = parse_object(body, "anthropic")
    content = value.get("content")
    if not isinstance(content, list):
        raise malformed("anthropic", "it holds no content")
    reason = finish_reason(value.get("stop_reason"), FINISH_REASONS)
    parts = [
        part["text"] for part in content if isinstance(part, dict) and part.get("type") == "text" and isinstance(part.get("text"), str)
    ]
    if not parts and reason in ("stop", "unknown"):
        raise malformed("anthropic", "its content is empty")
    model = model_name(value.get("model"))
    usage = mapping(value.get("usage"))
    cached, written = count(usage.get("cache_read_input_tokens")), count(usage.get("cache_creation_input_tokens"))
    return Response(
        text=well_formed("".join(parts)),
        finish_reason=reason,
        usage=Usage(
            input_tokens=count(usage.get("input_tokens")) + written + cached,
            output_tokens=count(usage.get("output_tokens")),
            cached_tokens=cached,
            cache_write_tokens=written,
        ),
        model=model,
        simulated=simulated(headers, model),
    )


def to_error(reply: httpx2.Response, secret: str) -> ProviderError:
    """Our error for a reply of status 300 and more, without the key."""
    return status_error("anthropic", reply.status_code, reply.content, reply.headers, secrets=(secret,), wall=time.time())
