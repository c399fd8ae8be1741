"""OpenAI's shapes: what is read out of a request's body, and the bodies of replies and errors."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gen.simulator.marks import FINGERPRINT, simulated_name
from gen.simulator.text_verdicts import HARM_WORDS, harms
from gen.simulator.wire import MAX_CHOICES, Ask, Problem, content_key, invalid, messages_of, stops_of, whole_number
from gen.types import Json

_MAX_TOKENS = 1_000_000
_CATEGORIES = (
    "harassment", "harassment/threatening", "hate", "hate/threatening", "illicit", "illicit/violent", "self-harm", "self-harm/instructions",
    "self-harm/intent", "sexual", "sexual/minors", "violence", "violence/graphic",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Choice:
    """One text of a reply: `refused` puts it into `refusal`, as the real service does where a schema was asked for."""

    text: str
    finish_reason: str
    tokens: int
    refused: bool = False


def parse_chat(body: Mapping[str, Any], draw: str | None) -> Ask | Problem:
    """The request of POST /v1/chat/completions."""
    messages = messages_of(body.get("messages"))
    if isinstance(messages, Problem):
        return messages
    shape = body.get("response_format")
    kind = shape.get("type") if isinstance(shape, dict) else "text"
    schema: Json = None
    if kind == "json_schema":
        described = shape.get("json_schema") if isinstance(shape, dict) else None
        schema = described.get("schema") if isinstance(described, dict) else None
        if not isinstance(schema, dict):
            return invalid("'response_format.json_schema.schema' must be a JSON schema", param="response_format")
    elif kind not in ("text", "json_object"):
        return invalid(f"unknown response_format type {kind!r}: choose from text, json_object, json_schema", param="response_format")
    common = _common(body)
    if isinstance(common, Problem):
        return common
    return Ask(content_key(body, draw), str(body["model"]), messages, schema=schema, json_mode=kind == "json_object", **common)


def parse_completion(body: Mapping[str, Any], draw: str | None) -> Ask | Problem:
    """The request of POST /v1/completions."""
    prompt = body.get("prompt")
    prompts = [prompt] if isinstance(prompt, str) else prompt
    if not isinstance(prompts, list) or not prompts or not all(isinstance(item, str) for item in prompts):
        return invalid("'prompt' must be a string or a list of strings", param="prompt")
    common = _common(body)
    if isinstance(common, Problem):
        return common
    if common["max_tokens"] is None:
        common["max_tokens"] = 16  # the real endpoint's default
    return Ask(content_key(body, draw), str(body["model"]), prompts=tuple(prompts), **common)


def _common(body: Mapping[str, Any]) -> dict[str, Any] | Problem:
    if body.get("stream"):
        return invalid("this simulator does not stream: leave 'stream' out or set it to false", param="stream")
    limit: int | Problem | None = None
    for name in ("max_completion_tokens", "max_tokens"):
        limit = whole_number(body, name, least=1, most=_MAX_TOKENS)
        if limit is not None:
            break
    n = whole_number(body, "n", least=1, most=MAX_CHOICES)
    stops = stops_of(body.get("stop"), "stop")
    for value in (limit, n, stops):
        if isinstance(value, Problem):
            return value
    return {"max_tokens": limit, "n": n or 1, "stop": stops}


def chat_body(ask: Ask, choices: Sequence[Choice], input_tokens: int) -> dict[str, Json]:
    """A chat.completion."""
    listed = [
        {
            "index": place,
            "message": {
                "role": "assistant",
                "content": None if choice.refused else choice.text,
                "refusal": choice.text if choice.refused else None,
            },
            "logprobs": None,
            "finish_reason": choice.finish_reason,
        }
        for place, choice in enumerate(choices)
    ]
    return _body(ask, "chat.completion", "chatcmpl", listed, choices, input_tokens)


def completion_body(ask: Ask, choices: Sequence[Choice], input_tokens: int) -> dict[str, Json]:
    """A text_completion."""
    listed = [
        {"index": place, "text": choice.text, "logprobs": None, "finish_reason": choice.finish_reason}
        for place, choice in enumerate(choices)
    ]
    return _body(ask, "text_completion", "cmpl", listed, choices, input_tokens)


def _body(ask: Ask, kind: str, prefix: str, listed: list[Json], choices: Sequence[Choice], input_tokens: int) -> dict[str, Json]:
    output_tokens = sum(choice.tokens for choice in choices)
    return {
        "id": f"{prefix}-{ask.key[:24]}",
        "object": kind,
        "created": int(time.time()),
        "model": simulated_name(ask.model),
        "choices": listed,
        "usage": {
            "prompt_tokens": input_tokens,
            "completion_tokens": output_tokens,
            "total_tokens": input_tokens + output_tokens,
            "prompt_tokens_details": {"cached_tokens": 0},
        },
        "system_fingerprint": FINGERPRINT,
    }


def models_body(names: Sequence[str]) -> dict[str, Json]:
    """The list of GET /v1/models."""
    return {
        "object": "list",
        "data": [{"id": name, "object": "model", "created": 1_735_689_600, "owned_by": "simulator"} for name in names],
    }


def embeddings_body(model: str, vectors: Sequence[Json], input_tokens: int) -> dict[str, Json]:
    """The list of POST /v1/embeddings; a vector is a list of numbers or its base64 text."""
    data = [{"object": "embedding", "index": place, "embedding": vector} for place, vector in enumerate(vectors)]
    usage = {"prompt_tokens": input_tokens, "total_tokens": input_tokens}
    return {"object": "list", "data": data, "model": simulated_name(model), "usage": usage}


def moderations_body(model: str, texts: Sequence[str], key: str) -> dict[str, Json]:
    """The verdicts of POST /v1/moderations: a few plain words decide, see `HARM_WORDS`."""
    results = []
    for text in texts:
        found = set(harms(text)) & HARM_WORDS.keys()
        results.append(
            {
                "flagged": bool(found),
                "categories": {name: name in found for name in _CATEGORIES},
                "category_scores": {name: 0.93 if name in found else 0.001 for name in _CATEGORIES},
                "category_applied_input_types": {name: ["text"] for name in _CATEGORIES},
            }
        )
    return {"id": f"modr-{key[:24]}", "model": simulated_name(model), "results": results}


def error_body(problem: Problem) -> dict[str, Json]:
    """OpenAI's error object."""
    return {"error": {"message": problem.message, "type": problem.kind, "param": problem.param, "code": problem.code}}
