"""Lists of turns as datasets hold them: roles by any usual name, texts and text parts, calls of tools, loss weights."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import orjson

from gen.containers.rows import kind_of
from gen.types import Message, ToolCall

ROLES = {
    "human": "user",
    "user": "user",
    "prompter": "user",
    "gpt": "assistant",
    "assistant": "assistant",
    "chatgpt": "assistant",
    "bot": "assistant",
    "model": "assistant",
    "system": "system",
    "tool": "tool",
    "function": "tool",
    "observation": "tool",
    "function_call": "assistant",
}
_THINKING = ("reasoning_content", "reasoning", "thinking")
_EXTRAS = frozenset({"tool_calls", "function_call", "tool_call_id", "name", "weight", "train"})


class Misfit(ValueError):
    """What is wrong with a record and its reason code; it never leaves this room."""

    def __init__(self, problem: str, reason: str = "wrong_type") -> None:
        super().__init__(problem)
        self.reason = reason


def turns_in(value: Any, key: str) -> tuple[Message, ...]:
    """The messages of a list of turns; raises Misfit where it is none. `key` names the list in messages."""
    if not isinstance(value, list):
        raise Misfit(f"'{key}' must be a list, got {kind_of(value)}")
    return tuple(_turn(one, f"{key}[{place}]") for place, one in enumerate(value))


def text_in(fields: Mapping[str, Any], key: str, default: str | None = None) -> str:
    """The text under a key; `default` where there is none or null. Raises Misfit for anything else."""
    value = fields.get(key)
    if value is None and default is not None:
        return default
    if not isinstance(value, str):
        raise Misfit(f"'{key}' must be a text, got {kind_of(value)}")
    return value


def tools_in(value: Any, key: str = "tools") -> str:
    """The JSON text of a list of tools, given as that list or its text; empty where there is none."""
    if value is None or value in ("", []):
        return ""
    if isinstance(value, str):
        try:
            read = orjson.loads(value)
        except orjson.JSONDecodeError:
            raise Misfit(f"'{key}' must be a list of tools or its JSON text") from None
        if not isinstance(read, list):
            raise Misfit(f"'{key}' must be a list of tools, got {kind_of(read)} in JSON text")
        return value if read else ""
    if not isinstance(value, list):
        raise Misfit(f"'{key}' must be a list of tools or its JSON text, got {kind_of(value)}")
    return _json(value)


def thinking_in(fields: Mapping[str, Any]) -> str:
    """Where a message holds its thinking in a key of its own, which a Message has no place for, as `messages[1].reasoning_content`; empty
    where none does."""
    for key, value in fields.items():
        for place, one in enumerate(value if isinstance(value, list) else [value]):
            for name in _THINKING if isinstance(one, dict) and ("role" in one or "from" in one) else ():
                if isinstance(one.get(name), str) and one[name].strip():
                    return f"{key}[{place}].{name}"
    return ""


def _turn(one: Any, place: str) -> Message:
    if not isinstance(one, dict):
        raise Misfit(f"{place} must be an object with role and content, got {kind_of(one)}")
    role = one.get("role")
    if role is None:
        role = one.get("from")
    if not isinstance(role, str):
        raise Misfit(f"{place} has no role")
    content = one.get("content")
    if content is None:
        content = one.get("value")
    text, name = content if isinstance(content, str) else _text(content), ROLES.get(role, role)
    if _EXTRAS.isdisjoint(one) and role != "function_call":
        if text is None:
            raise Misfit(f"{place}.content must be a text, got {kind_of(content)}")
        return Message(name, text)
    calls = _calls(one, place)
    if role == "function_call" and text and not calls and (call := _called(text)):
        calls, text = (call,), ""
    if text is None:
        if content is not None or not calls:
            raise Misfit(f"{place}.content must be a text, got {kind_of(content)}")
        text = ""
    answers, label = (_optional(one, key, place) for key in ("tool_call_id", "name"))
    return Message(name, text, calls, answers, label, _weight(one, place))


def _text(value: Any) -> str | None:
    """A message's text; parts of a multi-part content are joined where all of them are text."""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and value and all(isinstance(part, dict) and isinstance(part.get("text"), str) for part in value):
        return "\n".join(part["text"] for part in value)
    return None


def _optional(one: Mapping[str, Any], key: str, place: str) -> str:
    value = one.get(key)
    if value is not None and not isinstance(value, str):
        raise Misfit(f"{place}.{key} must be a text, got {kind_of(value)}")
    return value or ""


def _weight(one: Mapping[str, Any], place: str) -> float | None:
    """OpenAI's `weight`, a number, or Axolotl's `train`, a truth value."""
    weight, train = one.get("weight"), one.get("train")
    if weight is not None:
        if isinstance(weight, bool) or not isinstance(weight, int | float) or not math.isfinite(weight) or weight < 0:
            raise Misfit(f"{place}.weight must be a number from 0, got {kind_of(weight)}")
        return float(weight)
    if train is not None and not isinstance(train, bool):
        raise Misfit(f"{place}.train must be true or false, got {kind_of(train)}")
    return None if train is None else float(train)


def _calls(one: Mapping[str, Any], place: str) -> tuple[ToolCall, ...]:
    given = one.get("tool_calls")
    if not given and isinstance(one.get("function_call"), dict):  # OpenAI's older form: one call, without an id
        given = [one["function_call"]]
    if not given:
        return ()
    if not isinstance(given, list):
        raise Misfit(f"{place}.tool_calls must be a list, got {kind_of(given)}")
    return tuple(_call(call, f"{place}.tool_calls[{at}]") for at, call in enumerate(given))


def _call(call: Any, place: str) -> ToolCall:
    if not isinstance(call, dict):
        raise Misfit(f"{place} must be an object, got {kind_of(call)}")
    function = call.get("function")
    inner = function if isinstance(function, dict) else call
    name, arguments = inner.get("name"), inner.get("arguments")
    if not isinstance(name, str):
        raise Misfit(f"{place} names no function")
    if arguments is not None and not isinstance(arguments, str | dict):
        raise Misfit(f"{place}.arguments must be an object or its JSON text, got {kind_of(arguments)}")
    text = arguments if isinstance(arguments, str) else _json(arguments or {})
    return ToolCall(name, text, _optional(call, "id", place))


def _called(text: str) -> ToolCall | None:
    """The call in the text of a ShareGPT turn from `function_call`."""
    try:
        call = orjson.loads(text)
        return _call(call, "") if isinstance(call, dict) else None
    except (orjson.JSONDecodeError, Misfit):
        return None


def _json(value: Any) -> str:
    try:
        return orjson.dumps(value).decode("utf-8")
    except TypeError:  # an integer beyond 64 bits, nesting beyond orjson's limit
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
