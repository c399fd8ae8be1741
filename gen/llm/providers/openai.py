"""OpenAI's chat and raw completions, and every server that speaks them (`base_url`).

The SDK owns keys, connections and its error classes. Bodies are built and read here instead of by its models: its own typed path
costs three times the CPU, and OpenAI-compatible servers send shapes that its types do not know.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import httpx2
import openai
import orjson

from gen.errors import ProviderError
from gen.llm import embedding, moderation
from gen.llm.capabilities import capabilities_of, sampling
from gen.llm.connection import NO_KEY, TIMEOUT, WIRE_ERRORS, connection_error
from gen.llm.prefix import prefix_name
from gen.llm.provider import Endpoint, HeaderSink, Provider, own_cloud, wire_seed
from gen.llm.transport import DirectClient
from gen.llm.wire import count, finish_reason, malformed, mapping, model_name, parse_object, simulated, status_error, well_formed
from gen.llm.worded import worded_turns
from gen.recipe import ModelLine
from gen.types import FinishReason, Json, Request, Response, Usage, thaw

FINISH_REASONS: Mapping[str, FinishReason] = {
    "stop": "stop",
    "eos": "stop",
    "eos_token": "stop",
    "stop_sequence": "stop",
    "length": "length",
    "max_tokens": "length",
    "content_filter": "content_filter",
    "refusal": "refusal",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
}


class OpenAIProvider:
    """One pool of connections to one server, for all models there."""

    def __init__(self, endpoint: Endpoint, on_headers: HeaderSink, *, http_client: httpx2.AsyncClient | None = None) -> None:
        self._secret = endpoint.api_key
        self._address = endpoint.base_url.rstrip("/")  # whole, so that the SDK need not put it together anew
        self._on_headers = on_headers
        self._client = openai.AsyncOpenAI(
            api_key=endpoint.api_key or NO_KEY,
            base_url=endpoint.base_url,
            max_retries=0,
            timeout=TIMEOUT,
            http_client=http_client or DirectClient(endpoint.base_url),
        )

    async def send(self, request: Request, line: ModelLine) -> Response:
        path, payload = build_payload(request, line)
        reply = await self._posted(path, payload, line)
        return (moderation.parse_response if path == moderation.PATH else parse_response)(reply.content, reply.headers)

    async def embed(self, request: Request, line: ModelLine) -> Response:
        reply = await self._posted(embedding.PATH, embedding.build_payload(request, line) | thaw(line.extra_body), line)
        return embedding.parse_response(reply.content, reply.headers, len(request.messages))

    async def _posted(self, path: str, payload: dict[str, Any], line: ModelLine) -> httpx2.Response:
        try:
            reply = await self._client.post(self._address + path, cast_to=httpx2.Response, content=orjson.dumps(payload))
        except openai.APIStatusError as error:
            self._on_headers(line, error.response.headers)
            raise to_error(error.response, self._secret) from None  # the SDK's error holds the key in its request
        except (openai.APIConnectionError, *WIRE_ERRORS) as error:
            raise connection_error("openai", error) from None
        self._on_headers(line, reply.headers)
        return reply

    async def close(self) -> None:
        await self._client.close()


def connect(endpoint: Endpoint, on_headers: HeaderSink) -> Provider:
    """The provider for `endpoint`."""
    return OpenAIProvider(endpoint, on_headers)


def build_payload(request: Request, line: ModelLine) -> tuple[str, dict[str, Any]]:
    """The path below the base URL and the body. OpenAI's own cloud wants `max_completion_tokens`; the others know `max_tokens`."""
    if moderation.is_moderation(line.model):
        return moderation.PATH, moderation.build_payload(request, line) | thaw(line.extra_body)
    chosen, able, hosted = sampling(request, line), capabilities_of(line), own_cloud(line) and line.provider == "openai"
    body: dict[str, Any] = {"model": line.model}
    if request.prompt is not None:
        path = "/completions"
        body |= {"prompt": well_formed(request.prompt), "max_tokens": chosen.max_tokens}
    else:
        path = "/chat/completions"
        body["messages"] = worded_turns(request, able)
        body["max_completion_tokens" if hosted else "max_tokens"] = chosen.max_tokens
    if chosen.temperature is not None and able.temperature:
        body["temperature"] = chosen.temperature
    if chosen.top_p is not None and able.top_p and ("temperature" not in body or able.temperature_with_top_p):
        body["top_p"] = chosen.top_p
    if chosen.stop:
        body["stop"] = list(chosen.stop)
    if able.seed:
        body["seed"] = wire_seed(request.draw)
    if request.response_schema is not None and request.prompt is None and able.json_schema:
        schema = orjson.loads(request.response_schema)
        body["response_format"] = {
            "type": "json_schema",
            "json_schema": {"name": "reply", "schema": schema, "strict": is_closed(schema)},
        }
    if able.prompt_cache_key and (beginning := prefix_name(request, line)):
        body["prompt_cache_key"] = beginning
    return path, body | thaw(line.extra_body)


def parse_response(body: bytes, headers: Mapping[str, str]) -> Response:
    """The reply in a 200's body; `key`, `cost` and `from_cache` are the client's to fill.

    Raises Unavailable `malformed_reply` for anything that is not a completion with a text.
    """
    value = parse_object(body, "openai")
    choices = value.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise malformed("openai", "it holds no choices")
    choice = choices[0]
    reason = finish_reason(choice.get("finish_reason"), FINISH_REASONS)
    message = choice.get("message")
    text = _text(message.get("content")) if isinstance(message, dict) else _text(choice.get("text"))
    refusal = message.get("refusal") if isinstance(message, dict) else None
    if isinstance(refusal, str) and refusal and not text:
        text, reason = refusal, "refusal"
    if text is None:
        if reason in ("stop", "unknown"):
            raise malformed("openai", "its content is null")
        text = ""  # a filter, the token limit or a tool call left no text: that is what was answered
    usage = mapping(value.get("usage"))
    model = model_name(value.get("model"))
    return Response(
        text=well_formed(text),
        finish_reason=reason,
        usage=Usage(
            input_tokens=count(usage.get("prompt_tokens")),
            output_tokens=count(usage.get("completion_tokens")),
            cached_tokens=count(mapping(usage.get("prompt_tokens_details")).get("cached_tokens")),
        ),
        model=model,
        simulated=simulated(headers, model, value.get("system_fingerprint")),
    )


def to_error(reply: httpx2.Response, secret: str) -> ProviderError:
    """Our error for a reply of status 300 and more, without the key."""
    return status_error("openai", reply.status_code, reply.content, reply.headers, secrets=(secret,), wall=time.time())


def is_closed(schema: Json) -> bool:
    """Whether every object in a JSON schema lists all its properties as required and allows no other: what strict mode demands."""
    if isinstance(schema, list):
        return all(is_closed(item) for item in schema)
    if not isinstance(schema, dict):
        return True
    if "properties" in schema or schema.get("type") == "object":
        names = set(mapping(schema.get("properties")))
        if schema.get("additionalProperties") is not False or set(schema.get("required") or ()) != names:
            return False
    return all(is_closed(item) for item in schema.values())


def _text(content: Json) -> str | None:
    """A message's content, which some servers send as a list of parts; None when there is none."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        parts = [part["text"] for part in content if isinstance(part, dict) and isinstance(part.get("text"), str)]
        return "".join(parts) if parts else None
    return None
