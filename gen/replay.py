"""What was said between a run and its models for one candidate: its task is done again against the cache, and nothing is sent.

The ledger holds the keys of the requests behind a candidate, the cache the replies under these keys, and neither holds a prompt. All the
randomness of a task was decided when it was planned, so doing it again asks the same requests; those whose keys the candidate names are
its prompts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from gen.errors import RequestRejected
from gen.llm.cache import Cache
from gen.llm.keys import line_identity, request_key
from gen.parts import Parts
from gen.recipe import ModelLine
from gen.types import Message, Outcome, Pool, Request, Response, Sample


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request behind a candidate, as messages (a raw prompt is one of role `prompt`), and its reply, None where the cache lost it."""

    key: str
    purpose: str
    model: str
    asked: tuple[Message, ...]
    reply: str | None


async def replay(outcome: Outcome, parts: Parts, models: Mapping[str, ModelLine], cache: Cache) -> list[Exchange]:
    """The exchanges behind `outcome` in the order in which they were asked. Those that cannot be asked again, because an earlier reply has
    left the cache or the strategy is gone from the recipe, are missing."""
    listener = _Listener(models, cache, frozenset(outcome.item.provenance.requests))
    strategy = parts.strategies.get(outcome.task.strategy)
    if strategy is not None:
        await strategy.run(outcome.task, Pool(parts.sources), listener)
    if isinstance(outcome.item, Sample):
        bare = replace(outcome.item, scores=MappingProxyType({}))
        for judge in parts.judges.values():
            await judge.score(bare, listener)
    return [listener.heard[key] for key in outcome.item.provenance.requests if key in listener.heard]


@dataclass
class _Listener:
    """A `Generate` that only knows what is in the cache."""

    models: Mapping[str, ModelLine]
    cache: Cache
    wanted: frozenset[str]
    heard: dict[str, Exchange] = field(default_factory=dict)

    async def __call__(self, request: Request) -> Response:
        line = self.models[request.model]
        key = request_key(request, line, line_identity(line))
        known = self.cache.get(key)
        if key in self.wanted:
            asked = request.messages if request.prompt is None else (Message("prompt", request.prompt),)
            self.heard[key] = Exchange(key, request.purpose, request.model, asked, known.text if known else None)
        if known is None:
            raise RequestRejected("not in the cache", reason="not_cached", status=None)
        return replace(known, key=key)
