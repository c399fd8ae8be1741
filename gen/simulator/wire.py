"""What both APIs have in common on the wire: a request as read, a problem to answer with, and reading texts out of message contents."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gen.types import Json, Message, digest

# Fields that bound or deliver a text and do not change what is said: a higher limit gives the same text, only longer.
_NEUTRAL = frozenset({"max_tokens", "max_completion_tokens", "stop", "stop_sequences", "stream", "stream_options", "n"})
MAX_CHOICES = 128


@dataclass(frozen=True, slots=True)
class Ask:
    """A request for text. Exactly one of `messages` and `prompts` is given; `tool` is the tool whose input the reply must be."""

    key: str
    model: str
    messages: tuple[Message, ...] = ()
    prompts: tuple[str, ...] = ()
    schema: Json = None
    json_mode: bool = False
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    n: int = 1
    tool: str = ""

    @property
    def text(self) -> str:
        """All of the prompt in one text."""
        return "\n".join([*(message.content for message in self.messages), *self.prompts])


@dataclass(frozen=True, slots=True)
class Problem:
    """An error to answer with. `kind` is the API's error type, `code` OpenAI's finer one, `retry_after_seconds` goes into headers."""

    status: int
    kind: str
    message: str
    code: str | None = None
    param: str | None = None
    retry_after_seconds: float | None = None


def content_key(body: Mapping[str, Any], draw: str | None) -> str:
    """The hash of all that may change a reply's text: the body without its bounds, and the draw header."""
    return digest([{name: value for name, value in body.items() if name not in _NEUTRAL}, draw], length=32)


def text_of(content: Any) -> str | None:
    """The text of a message's content, a string or a list of parts; None when it is neither or holds anything but text."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return None
    texts = [part.get("text") if isinstance(part, dict) else None for part in content]
    return "\n".join(text for text in texts if isinstance(text, str)) if all(isinstance(text, str) for text in texts) else None


def messages_of(given: Any) -> tuple[Message, ...] | Problem:
    """The messages of a chat, or what is wrong with them."""
    if not isinstance(given, list) or not given:
        return invalid("'messages' must be a list of at least one message", param="messages")
    messages: list[Message] = []
    for place, item in enumerate(given):
        role = item.get("role") if isinstance(item, dict) else None
        text = text_of(item.get("content")) if isinstance(item, dict) else None
        if not isinstance(role, str) or text is None:
            return invalid(f"messages.{place} must have a role and a content of text", param=f"messages.{place}")
        messages.append(Message(role, text))
    return tuple(messages)


def whole_number(body: Mapping[str, Any], name: str, *, least: int, most: int) -> int | Problem | None:
    """The whole number under `name`, None when there is none, or what is wrong with it."""
    value = body.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        return invalid(f"'{name}' must be a whole number from {least} to {most}", param=name)
    return value


def stops_of(given: Any, name: str) -> tuple[str, ...] | Problem:
    """The stop sequences: a string, a list of strings or nothing."""
    if given is None:
        return ()
    stops = [given] if isinstance(given, str) else given
    if not isinstance(stops, list) or not all(isinstance(stop, str) for stop in stops):
        return invalid(f"'{name}' must be a list of strings", param=name)
    return tuple(stops)


def invalid(message: str, *, param: str | None = None, code: str | None = None) -> Problem:
    """A 400 for a request that can never be answered."""
    return Problem(400, "invalid_request_error", message, code=code, param=param)
