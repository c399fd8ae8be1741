"""Ask for a reply of a form, and check the JSON that came against a type.

It is read by `gen.replies`, which forgives fences, prose and broken commas; a repaired reply is never taken for more than it says. What
cannot be read is told to the model in a correction turn, at most twice, and then asked once more from the start at another temperature.
Each of these is a request like any other: cached, budgeted, and the same on every run. None of their turns belongs into a sample.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from pydantic import TypeAdapter, ValidationError

from gen import replies
from gen.errors import ProviderError, ServiceStopped
from gen.types import Generate, Message, Request, Response, digest

T = TypeVar("T")
Value = TypeVar("Value")

MAX_CORRECTIONS = 2
_SHOWN = 8_000  # characters of an unreadable reply that the model sees again
_USUAL_TEMPERATURE = 0.7  # of a fresh start where the request left the temperature to the model's line
_WORDS = {"no_json": "it holds no JSON", "broken_json": "its JSON is broken", "wrong_shape": "its JSON has not the form that was asked for"}

_ADAPTERS: dict[Any, TypeAdapter[Any]] = {}  # built once per type: building takes a hundred times as long as checking


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Why a reply could not be read: `no_json`, `broken_json` or `wrong_shape`, and where."""

    reason: str
    detail: str = ""

    @property
    def problem(self) -> str:
        """What was wrong, in words of ours that the model may be told."""
        said = _WORDS.get(self.reason, self.reason)
        return f"{said} ({self.detail})" if self.detail else said


@dataclass(frozen=True, slots=True)
class Structured(Generic[Value]):
    """A reply that was read, or why none could be. `replies` are all that came, in the order asked; `error` is the call that failed for
    good, None where every call was answered."""

    value: Value | None
    problem: str = ""
    replies: tuple[Response, ...] = ()
    error: ProviderError | None = None


Correct = Callable[[Request, Response, str, int], Request]


def correction(request: Request, reply: Response, problem: str, number: int) -> Request:
    """`request`, as another draw, with the reply that could not be read and a turn that says what was wrong with it. A reply without words
    cannot be shown: then the request is only asked again."""
    text, draw = reply.text.strip()[:_SHOWN], _another_draw(request, f"correction {number}")
    if not text or request.prompt is not None:
        return replace(request, draw=draw)
    said = (
        f"That reply could not be read: {problem}. Reply again to the request above with nothing but what was asked for, complete and in "
        "exactly the form that was asked for."
    )
    return replace(request, messages=(*request.messages, Message("assistant", text), Message("user", said)), draw=draw)


def fresh_start(request: Request) -> Request:
    """`request` as another draw and at another temperature: 0.2 higher, or lower where that would pass 1."""
    own = request.sampling.temperature
    other = _USUAL_TEMPERATURE if own is None else own + 0.2 if own <= 0.8 else own - 0.2
    return replace(request, sampling=replace(request.sampling, temperature=round(other, 3)), draw=_another_draw(request, "fresh start"))


async def ask_structured(
    generate: Generate,
    request: Request,
    read: Callable[[Response], Value | Unreadable],
    *,
    corrections: int = MAX_CORRECTIONS,
    correct: Correct = correction,
    fresh: Callable[[Request], Request] | None = fresh_start,
) -> Structured[Value]:
    """Ask until `read` makes something of a reply: `request`, up to `corrections` corrections of it, each made by `correct` from the first
    request, the last reply, what was wrong and its number (from 1), then `fresh` of the first request, if that is not None.

    Raises ServiceStopped only.
    """
    came: list[Response] = []
    problem, asked = "", request
    for number in range(1, corrections + 3):
        try:
            reply = await generate(asked)
        except ServiceStopped:
            raise
        except ProviderError as error:
            return Structured(None, problem, tuple(came), error)
        came.append(reply)
        found = read(reply)
        if not isinstance(found, Unreadable):
            return Structured(found, "", tuple(came))
        problem = found.problem
        if number <= corrections:
            asked = correct(request, reply, problem, number)
        elif number == corrections + 1 and fresh is not None:
            asked = fresh(request)
        else:
            break
    return Structured(None, problem, tuple(came))


def _another_draw(request: Request, why: str) -> int:
    """A draw in 0 … 2³¹ − 1 from the request's own: the same on every run."""
    return int(digest([request.draw, why], length=8), 16) & 0x7FFFFFFF


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
