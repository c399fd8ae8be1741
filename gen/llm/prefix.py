"""Prompt caching: what many requests have in common at their beginning, and who of them goes first.

A service keeps the beginning of a prompt and charges a tenth to a half for it when it comes again. The beginning of a request is everything
before its last user turn that stands before any reply: the system turn, and a document or examples in a user turn of their own. Anthropic
has to be told where it ends, and charges a quarter more for keeping it; OpenAI finds it by itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from gen.llm.capabilities import capabilities_of
from gen.recipe import ModelLine
from gen.types import Message, Request, digest

_BYTES_PER_TOKEN = 3  # a low guess: a beginning that is too short is not kept, and costs nothing either
WARM_UP_SECONDS = 20.0  # how long a request waits at most for the first one with its beginning
_MOST_KNOWN = 10_000  # beginnings remembered; the oldest is forgotten first, which costs one more warm-up at most


def shared_turns(messages: Sequence[Message]) -> int:
    """How many of the first messages are the shared beginning.

    >>> shared_turns([Message("system", "Be brief."), Message("user", "A document."), Message("user", "A question.")])
    2
    """
    before = next((place for place, message in enumerate(messages) if message.role not in ("system", "user")), len(messages))
    return next((place for place in reversed(range(before)) if messages[place].role == "user"), before)


def kept_turns(request: Request, line: ModelLine) -> int:
    """How many of the first messages the service is likely to keep; 0 where it keeps none, is told to, or they are too short."""
    able = capabilities_of(line)
    if line.prompt_caching == "off" or able.prompt_caching == "none" or request.prompt is not None:
        return 0
    shared = shared_turns(request.messages)
    size = sum(len(message.content.encode("utf-8", "replace")) for message in request.messages[:shared])
    return shared if size >= _BYTES_PER_TOKEN * able.cache_minimum_tokens else 0


def prefix_name(request: Request, line: ModelLine) -> str:
    """A name for the beginning that the service keeps, the same for all requests that share it; empty where there is none."""
    kept = kept_turns(request, line)
    return digest([line.model, *([message.role, message.content] for message in request.messages[:kept])]) if kept else ""


class WarmUp:
    """Lets the first request of each beginning go ahead: the others come when it is back, and find the beginning kept. Whoever leads must
    call `done`, however it ended; nobody waits longer than `WARM_UP_SECONDS`, and nobody holds a slot or a reservation meanwhile."""

    def __init__(self, longest_seconds: float = WARM_UP_SECONDS) -> None:
        self._longest = longest_seconds
        self._known: dict[str, asyncio.Event] = {}

    async def turn(self, name: str) -> bool:
        """Whether the caller leads; one that does not has waited when this returns."""
        known = self._known.get(name)
        if known is None:
            if len(self._known) >= _MOST_KNOWN:
                self._known.pop(next(iter(self._known))).set()
            self._known[name] = asyncio.Event()
            return True
        if not known.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(self._longest):
                    await known.wait()
        return False

    def done(self, name: str) -> None:
        """The leader is back."""
        if (known := self._known.get(name)) is not None:
            known.set()
