"""Read the JSON that a model was asked for, forgiving what models do to it: fences, prose around it, trailing commas, missing quotes.

What is read is checked against a type all the same: a repaired reply is never taken for more than it says.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, TypeVar

import json_repair
from pydantic import TypeAdapter, ValidationError

from gen.types import Json

T = TypeVar("T")

_MAX_CHARACTERS = 200_000  # a longer reply is no answer to a question for JSON, and repair takes time
_FENCE = re.compile(r"```[a-zA-Z0-9]{0,20}[ \t]{0,20}\n(.{1,200000}?)\n?```", re.DOTALL)

_ADAPTERS: dict[Any, TypeAdapter[Any]] = {}  # built once per type: building takes a hundred times as long as checking


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Why a reply could not be read: `no_json`, `broken_json` or `wrong_shape`, and where."""

    reason: str
    detail: str = ""


def parse_json(text: str, kind: type[T]) -> T | Unreadable:
    """The value in `text` as a `kind`: a pydantic model, a dataclass, `list[str]` or any other type that pydantic can check.

    >>> parse_json('Sure! {"score": 4,}', dict[str, int])
    {'score': 4}
    >>> parse_json("I'd rather not.", dict[str, int]).reason
    'no_json'
    """
    value = read_json(text)
    if isinstance(value, Unreadable):
        return value
    try:
        checked: T = _adapter(kind).validate_python(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(str(step) for step in first["loc"])
        return Unreadable("wrong_shape", f"{place + ': ' if place else ''}{first['msg'].lower()}")
    return checked


def read_json(text: str) -> Json | Unreadable:
    """The JSON object or array in `text`: as it stands, inside a fence, between the first bracket and its last partner, or repaired."""
    if len(text) > _MAX_CHARACTERS:
        return Unreadable("no_json", f"{len(text)} characters, at most {_MAX_CHARACTERS} are read")
    fence = _FENCE.search(text)
    start = min((at for at in (text.find("{"), text.find("[")) if at >= 0), default=-1)
    end = max(text.rfind("}"), text.rfind("]"))
    candidates = [text.strip(), *([fence.group(1)] if fence else []), *([text[start : end + 1]] if 0 <= start < end else [])]
    for candidate in candidates:
        try:
            value = json.loads(candidate)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict | list):
            return value
    if start < 0:
        return Unreadable("no_json")
    return _repaired(fence.group(1) if fence else text[start:])


def _repaired(text: str) -> Json | Unreadable:
    try:
        value: Any = json_repair.loads(text, skip_json_loads=True)
    except (ValueError, RecursionError) as error:
        return Unreadable("broken_json", type(error).__name__)
    return value if isinstance(value, dict | list) and value else Unreadable("broken_json")


def _adapter(kind: Any) -> TypeAdapter[Any]:
    if kind not in _ADAPTERS:
        _ADAPTERS[kind] = TypeAdapter(kind)
    return _ADAPTERS[kind]
