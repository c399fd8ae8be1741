"""What a call costs in USD: the recipe's own `price:` first, then the price library, else unknown – which is None and never 0.

A simulated reply has the known price 0 unless the line sets one, so that budgets can be tried out without a key.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from gen.llm.moderation import is_moderation
from gen.recipe import ModelLine
from gen.types import Usage

_MILLION = 1_000_000
_CACHE_WRITE = {"anthropic": 1.25}  # platform.claude.com/docs/en/build-with-claude/prompt-caching: times the input's price, for 5 minutes
_FREE: Mapping[str, str] = {
    "perspective": "the Perspective API is free",
    "command": "a command of one's own is free",
    "transformers": "it runs on this machine",
}


class Price(Protocol):
    """A known price. `source` says whose it is and of what date or version."""

    @property
    def source(self) -> str: ...

    def cost(self, usage: Usage) -> float:
        """USD for `usage`."""
        ...


@dataclass(frozen=True, slots=True)
class FlatPrice:
    """USD per million tokens; input tokens out of the prompt cache, and those put there, are a part of the input tokens and priced apart;
    without a `cache_write` price the latter cost what others do."""

    input: float
    output: float
    cached_input: float
    source: str
    cache_write: float | None = None

    def cost(self, usage: Usage) -> float:
        cached = min(usage.cached_tokens, usage.input_tokens)
        written = min(usage.cache_write_tokens, usage.input_tokens - cached)
        fresh = usage.input_tokens - cached - written
        writing = self.input if self.cache_write is None else self.cache_write
        reading = fresh * self.input + cached * self.cached_input + written * writing
        return (reading + usage.output_tokens * self.output) / _MILLION


@dataclass(frozen=True, slots=True)
class BatchPrice:
    """What the same call costs in a batch: `factor` of its usual price."""

    live: Price
    factor: float

    @property
    def source(self) -> str:
        return f"{self.live.source}, {self.factor:.0%} of it in batches"

    def cost(self, usage: Usage) -> float:
        return self.factor * self.live.cost(usage)


def price_of(line: ModelLine) -> Price | None:
    """The price of a model line as its `mode` pays it, None when nobody knows it.

    In batches OpenAI and Anthropic charge half for input and output (openai.com/api/pricing and platform.claude.com/docs, as of November
    2026), which is the default of `batch.price_factor`; a `price:` of the recipe is the live one.
    """
    live = _live_price(line)
    if live is None or line.mode != "batch" or live.cost(Usage(_MILLION, _MILLION)) == 0:
        return live
    return BatchPrice(live, line.batch.price_factor)


def _live_price(line: ModelLine) -> Price | None:
    """The price of a single call. Loads the price library only if neither recipe nor simulator answers."""
    if line.price is not None:
        cached = line.price.input if line.price.cached_input is None else line.price.cached_input
        written = line.price.input * _CACHE_WRITE.get(line.provider, 1.0) if line.price.cache_write is None else line.price.cache_write
        return FlatPrice(line.price.input, line.price.output, cached, "the recipe", written)
    if line.provider == "simulator":
        return FlatPrice(0.0, 0.0, 0.0, "the simulator is free")
    if line.provider == "openai" and not line.base_url and is_moderation(line.model):
        return FlatPrice(0.0, 0.0, 0.0, "OpenAI's moderations endpoint is free")
    if line.provider in _FREE and not line.base_url:
        return FlatPrice(0.0, 0.0, 0.0, _FREE[line.provider])
    library: Any = importlib.import_module("gen.llm.price_library")
    found: Price | None = library.lookup(line.provider, line.base_url, line.model)
    return found


def cost_of(usage: Usage, price: Price | None) -> float | None:
    """USD for `usage`; None when the price is unknown or the provider did not count the tokens of a model that is not free."""
    if price is None:
        return None
    if usage.input_tokens == 0 and usage.output_tokens == 0 and price.cost(Usage(_MILLION, _MILLION)) > 0:
        return None
    return price.cost(usage)
