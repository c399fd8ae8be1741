"""Check the JSON that a model was asked for against a type. It is read by `gen.replies`, which forgives fences, prose and broken commas; a
repaired reply is never taken for more than it says.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from gen import replies

T = TypeVar("T")

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
    value = replies.parse_json(text)
    if value is None:
        long = len(text) > replies.MAX_CHARACTERS
        return Unreadable("broken_json" if ("{" in text or "[" in text) and not long else "no_json")
    try:
        checked: T = _adapter(kind).validate_python(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(str(step) for step in first["loc"])
        return Unreadable("wrong_shape", f"{place + ': ' if place else ''}{first['msg'].lower()}")
    return checked


def _adapter(kind: Any) -> TypeAdapter[Any]:
    if kind not in _ADAPTERS:
        _ADAPTERS[kind] = TypeAdapter(kind)
    return _ADAPTERS[kind]
