"""Anthropic's shapes: what is read out of a request's body, and the bodies of replies and errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from gen.simulator.marks import simulated_name
from gen.simulator.wire import Ask, Problem, content_key, invalid, messages_of, stops_of, text_of, whole_number
from gen.types import Json, Message

_MAX_TOKENS = 1_000_000
_KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    404: "not_found_error",
    429: "rate_limit_error",
    500: "api_error",
    529: "overloaded_error",
}


def parse_message(body: Mapping[str, Any], draw: str | None) -> Ask | Problem:
    """The request of POST /v1/messages; a schema comes from `output_config.format` or from a tool that the model is forced to use."""
    if body.get("stream"):
        return invalid("this simulator does not stream: leave 'stream' out or set it to false")
    limit = whole_number(body, "max_tokens", least=1, most=_MAX_TOKENS)
    if limit is None:
        return invalid("max_tokens: Field required")
    if isinstance(limit, Problem):
        return limit
    messages = messages_of(body.get("messages"))
    if isinstance(messages, Problem):
        return messages
    stops = stops_of(body.get("stop_sequences"), "stop_sequences")
    if isinstance(stops, Problem):
        return stops
    system = text_of(body["system"]) if body.get("system") is not None else ""
    if system is None:
        return invalid("system: must be a text or a list of text blocks")
    tool, schema = _forced_tool(body)
    if not tool:
        schema = _output_schema(body)
    turns = (Message("system", system), *messages) if system else messages
    return Ask(content_key(body, draw), str(body["model"]), turns, schema=schema, max_tokens=limit, stop=stops, tool=tool)


def _forced_tool(body: Mapping[str, Any]) -> tuple[str, Json]:
    chosen = body.get("tool_choice")
    name = chosen.get("name") if isinstance(chosen, dict) and chosen.get("type") == "tool" else None
    tools = body.get("tools")
    for tool in tools if isinstance(tools, list) else []:
        if isinstance(tool, dict) and name and tool.get("name") == name:
            return str(name), tool.get("input_schema") or {"type": "object"}
    return "", None


def _output_schema(body: Mapping[str, Any]) -> Json:
    config = body.get("output_config")
    shape = config.get("format") if isinstance(config, dict) else None
    return shape.get("schema") if isinstance(shape, dict) and isinstance(shape.get("schema"), dict) else None


def message_body(ask: Ask, text: str, stop_reason: str, stop_sequence: str | None, tokens: tuple[int, int]) -> dict[str, Json]:
    """A message; `tokens` are those of the input and the output. A forced tool's input that is no JSON object comes as text."""
    content: list[Json] = [{"type": "text", "text": text}]
    if ask.tool and (found := _object(text)) is not None:
        content = [{"type": "tool_use", "id": f"toolu_{ask.key[:24]}", "name": ask.tool, "input": found}]
        stop_reason = "tool_use" if stop_reason == "end_turn" else stop_reason
    return {
        "id": f"msg_{ask.key[:24]}",
        "type": "message",
        "role": "assistant",
        "model": simulated_name(ask.model),
        "content": content,
        "stop_reason": stop_reason,
        "stop_sequence": stop_sequence,
        "usage": {"input_tokens": tokens[0], "output_tokens": tokens[1], "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0},
    }


def error_body(problem: Problem, request_id: str) -> dict[str, Json]:
    """Anthropic's error object."""
    kind = _KINDS.get(problem.status, problem.kind)
    return {"type": "error", "error": {"type": kind, "message": problem.message}, "request_id": request_id}


def _object(text: str) -> Json:
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    return value if isinstance(value, dict) else None
