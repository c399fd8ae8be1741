"""What stands behind a model line: the endpoint it talks to, what that API can do, and the protocol that every provider file fills.

A provider makes one attempt and knows nothing of caches, retries, rates or budgets. Its module is imported when a recipe first names it,
because the SDKs take a second each.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal, Protocol, runtime_checkable

from gen.recipe import ModelLine
from gen.types import Request, Response

HeaderSink = Callable[[ModelLine, Mapping[str, str]], None]

# The most a string of stop sequences, seeds and the like may be: the APIs read seeds as signed or unsigned 32-bit integers.
_SEED_BITS = 32


class Provider(Protocol):
    """One attempt at a time."""

    async def send(self, request: Request, line: ModelLine) -> Response:
        """The reply to `request`. Raises ProviderError only."""
        ...

    async def close(self) -> None:
        """Give back connections (and whatever else was opened on first use)."""
        ...


@runtime_checkable
class Embedder(Protocol):
    """A provider that also makes vectors: the request's messages are the texts, the reply's text is as `gen.llm.embedding` reads it."""

    async def embed(self, request: Request, line: ModelLine) -> Response:
        """The vectors. Raises ProviderError only."""
        ...


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What an API takes, as data.

    `limits_per` says what its rate limits count: the vendors' own clouds count per model, everybody else's server counts per key.
    `seed` is whether equal prompts can be told apart on the wire; what its models can do is told by `gen.llm.capabilities`. `answers` is
    what comes back: a chat model's text, what a tool found (`lookup`), a reward, or an endpoint's `likelihoods`. What runs
    `on_this_machine` has no address.
    """

    module: str
    base_url: str | None = None
    api_key_env: str | None = None
    own_server: bool = False
    raw_prompts: bool = True
    seed: bool = True
    limits_per: Literal["model", "key"] = "key"
    tokens_counted: Literal["asked", "used"] = "used"
    answers: Literal["chat", "lookup", "reward", "likelihoods"] = "chat"
    on_this_machine: bool = False


CAPABILITIES: Mapping[str, Capabilities] = MappingProxyType(
    {
        "openai": Capabilities(
            module="gen.llm.providers.openai",
            base_url="https://api.openai.com/v1",
            api_key_env="OPENAI_API_KEY",
            limits_per="model",
            tokens_counted="asked",
        ),
        "anthropic": Capabilities(
            module="gen.llm.providers.anthropic",
            base_url="https://api.anthropic.com",
            api_key_env="ANTHROPIC_API_KEY",
            raw_prompts=False,
            seed=False,
            limits_per="model",
        ),
        "simulator": Capabilities(module="gen.llm.providers.simulator", own_server=True, tokens_counted="asked"),
        "transformers": Capabilities(module="gen.llm.providers.transformers", on_this_machine=True),
        "search": Capabilities(module="gen.llm.providers.search", raw_prompts=False, seed=False, answers="lookup"),
        "command": Capabilities(module="gen.llm.providers.command", raw_prompts=False, seed=False, answers="lookup", on_this_machine=True),
        # docs.vllm.ai/en/latest/models/pooling_models: reward models and classifiers have no chat endpoint.
        "vllm_reward": Capabilities(module="gen.llm.providers.vllm_reward", raw_prompts=False, seed=False, answers="reward"),
        "perspective": Capabilities(
            module="gen.llm.providers.perspective",
            base_url="https://commentanalyzer.googleapis.com/v1alpha1",
            api_key_env="PERSPECTIVE_API_KEY",
            raw_prompts=False,
            seed=False,
            answers="likelihoods",
        ),
    }
)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where calls go and with whose key: models with equal endpoints share connections and admission. `options` is the simulator's
    mapping as canonical JSON. The key is kept out of `repr`."""

    provider: str
    base_url: str = ""
    api_key: str = field(default="", repr=False)
    options: str = ""


def own_cloud(line: ModelLine) -> bool:
    """Whether a line's calls go to the vendor's own cloud."""
    known = CAPABILITIES.get(line.provider)
    return line.base_url is None or (known is not None and line.base_url.rstrip("/") == known.base_url)


def by_prompt(schema: str) -> str:
    """How a JSON schema is asked for where the API has no parameter for it."""
    return f"Answer with one JSON value that fits this JSON schema, and nothing else: {schema}"


def connect(endpoint: Endpoint, on_headers: HeaderSink) -> Provider:
    """The provider for `endpoint`; its module is imported here. `on_headers` is told the headers of every reply, errors included."""
    module: Any = importlib.import_module(CAPABILITIES[endpoint.provider].module)
    provider: Provider = module.connect(endpoint, on_headers)
    return provider


def wire_seed(draw: int) -> int:
    """`draw` folded to 32 bits without throwing any bit away: what is sent as `seed`."""
    folded, rest = draw & 0xFFFFFFFF, abs(draw) >> _SEED_BITS
    while rest:
        folded ^= rest & 0xFFFFFFFF
        rest >>= _SEED_BITS
    return folded
