"""What a model can do, as data: one line per family with its source and date, the last one that fits wins.

The lines of a vendor's own cloud do not hold for another server that serves a model of the same name; there the API's own line does, and a
recipe says otherwise with `capabilities:` on the model's line. What stands here only decides what is sent and what is refused before a run:
a wrong line is mended by the recipe until the table is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Literal

from gen.llm.provider import CAPABILITIES, own_cloud
from gen.recipe import CapabilitiesLine, ModelLine
from gen.types import Request, Sampling

PromptCaching = Literal["none", "automatic", "marked"]


@dataclass(frozen=True, slots=True)
class ModelCapabilities:
    """`prompt_caching` is "marked" where a request must say what to keep, "automatic" where the service finds shared beginnings itself;
    `cache_minimum_tokens` is the shortest beginning that is kept. `embedding_inputs` and `embedding_bytes` bound one embeddings request:
    texts, and UTF-8 bytes, of which no tokenizer makes more tokens. `max_output_tokens` None is unknown."""

    chat: bool = True
    system_role: bool = True
    raw_prompt: bool = True
    json_schema: bool = True
    batch: bool = False
    prompt_caching: PromptCaching = "none"
    cache_minimum_tokens: int = 1024
    prompt_cache_key: bool = False
    temperature: bool = True
    top_p: bool = True
    temperature_with_top_p: bool = True
    max_temperature: float = 2.0
    seed: bool = True
    embeddings: bool = True
    embedding_inputs: int = 32
    embedding_bytes: int = 300_000
    moderations: bool = True
    max_output_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Family:
    """Models whose id begins with one of `models` (all, when there are none), and how they differ from what the lines before say.
    `hosted` lines hold at the vendor's own cloud only. `source` is where it is written, `seen` when that was read."""

    provider: str
    models: tuple[str, ...]
    differs: Mapping[str, Any]
    source: str
    seen: str
    hosted: bool = False


_OPENAI = "platform.openai.com/docs"
_CLAUDE = "platform.claude.com/docs"
_SAMPLED_CLAUDES = (
    *("claude-2", "claude-3", "claude-sonnet-4-0", "claude-sonnet-4-2", "claude-opus-4-0", "claude-opus-4-1", "claude-opus-4-2"),
    *("claude-sonnet-4-5", "claude-sonnet-4-6", "claude-opus-4-5", "claude-opus-4-6", "claude-haiku-4-5"),
)
_CLAUDES_WITHOUT_SCHEMA = ("claude-2", "claude-3", "claude-sonnet-4-0", "claude-sonnet-4-2", "claude-opus-4-0", "claude-opus-4-2")

FAMILIES: tuple[Family, ...] = (
    # Any server that speaks OpenAI's API. 32 inputs is the lowest default limit among embedding servers (text-embeddings-inference).
    Family("openai", (), {}, "huggingface.co/docs/text-embeddings-inference: max-client-batch-size", "2026-11-22"),
    Family(
        "openai",
        (),
        {
            "raw_prompt": False,
            "batch": True,
            "prompt_caching": "automatic",
            "prompt_cache_key": True,
            "embeddings": False,
            "embedding_inputs": 2048,
            "moderations": False,
        },
        f"{_OPENAI}/guides/prompt-caching, {_OPENAI}/api-reference/embeddings",
        "2026-11-22",
        hosted=True,
    ),
    Family("openai", ("gpt-3.5-turbo",), {"json_schema": False, "max_output_tokens": 4096}, f"{_OPENAI}/models", "2026-11-22", hosted=True),
    Family(
        "openai",
        ("gpt-3.5-turbo-instruct", "davinci-002", "babbage-002"),
        {"chat": False, "raw_prompt": True, "prompt_caching": "none", "prompt_cache_key": False},
        f"{_OPENAI}/models",
        "2026-11-22",
        hosted=True,
    ),
    Family("openai", ("gpt-4",), {"json_schema": False}, f"{_OPENAI}/guides/structured-outputs", "2026-11-22", hosted=True),
    Family("openai", ("gpt-4o",), {"json_schema": True, "max_output_tokens": 16_384}, f"{_OPENAI}/models", "2026-11-22", hosted=True),
    Family("openai", ("gpt-4.1",), {"json_schema": True, "max_output_tokens": 32_768}, f"{_OPENAI}/models", "2026-11-22", hosted=True),
    Family(
        "openai",
        ("o1", "o3", "o4", "gpt-5"),
        {"temperature": False, "top_p": False},
        f"{_OPENAI}/guides/reasoning",
        "2026-11-22",
        hosted=True,
    ),
    Family("openai", ("o1", "o3", "o4"), {"max_output_tokens": 100_000}, f"{_OPENAI}/models", "2026-11-22", hosted=True),
    Family("openai", ("gpt-5",), {"max_output_tokens": 128_000}, f"{_OPENAI}/models", "2026-11-22", hosted=True),
    Family(
        "openai", ("o1-mini", "o1-preview"), {"system_role": False, "json_schema": False}, f"{_OPENAI}/models", "2026-11-22", hosted=True
    ),
    Family("openai", ("gpt-5-chat",), {"temperature": True, "top_p": True}, f"{_OPENAI}/models", "2026-11-22", hosted=True),
    Family(
        "openai",
        ("text-embedding",),
        {"chat": False, "embeddings": True, "json_schema": False},
        f"{_OPENAI}/guides/embeddings",
        "2026-11-22",
        hosted=True,
    ),
    Family(
        "openai",
        ("omni-moderation", "text-moderation"),
        {"chat": False, "moderations": True, "json_schema": False},
        f"{_OPENAI}/guides/moderation",
        "2026-11-22",
        hosted=True,
    ),
    # Claude Opus 4.7 and all later ones refuse sampling parameters; a new name is most likely one of those.
    Family(
        "anthropic",
        (),
        {
            "batch": True,
            "prompt_caching": "marked",
            "cache_minimum_tokens": 4096,
            "temperature": False,
            "top_p": False,
            "temperature_with_top_p": False,
            "max_temperature": 1.0,
            "embeddings": False,
            "moderations": False,
            "max_output_tokens": 128_000,
        },
        f"{_CLAUDE}/en/models, {_CLAUDE}/en/build-with-claude/prompt-caching",
        "2026-11-22",
    ),
    Family(
        "anthropic",
        _SAMPLED_CLAUDES,
        {"temperature": True, "top_p": True, "max_output_tokens": 64_000},
        f"{_CLAUDE}/en/api/messages",
        "2026-11-22",
    ),
    Family(
        "anthropic", _CLAUDES_WITHOUT_SCHEMA, {"json_schema": False}, f"{_CLAUDE}/en/build-with-claude/structured-outputs", "2026-11-22"
    ),
    Family(
        "anthropic",
        (
            "claude-sonnet-4-0",
            "claude-sonnet-4-2",
            "claude-sonnet-4-5",
            "claude-opus-4-0",
            "claude-opus-4-1",
            "claude-opus-4-2",
            "claude-3",
        ),
        {"cache_minimum_tokens": 1024},
        f"{_CLAUDE}/en/build-with-claude/prompt-caching",
        "2026-11-22",
    ),
    Family(
        "anthropic",
        ("claude-sonnet-4-6", "claude-3-haiku", "claude-3-5-haiku"),
        {"cache_minimum_tokens": 2048},
        f"{_CLAUDE}/en/build-with-claude/prompt-caching",
        "2026-11-22",
    ),
    Family(
        "anthropic",
        ("claude-opus-4-0", "claude-opus-4-1", "claude-opus-4-2"),
        {"max_output_tokens": 32_000},
        f"{_CLAUDE}/en/about-claude/models",
        "2026-11-22",
    ),
    Family("anthropic", ("claude-opus-4-6",), {"max_output_tokens": 128_000}, f"{_CLAUDE}/en/about-claude/models", "2026-11-22"),
    Family("anthropic", ("claude-3-5",), {"max_output_tokens": 8192}, f"{_CLAUDE}/en/about-claude/models", "2026-11-22"),
    Family(
        "anthropic",
        ("claude-2", "claude-3-opus", "claude-3-sonnet", "claude-3-haiku"),
        {"max_output_tokens": 4096},
        f"{_CLAUDE}/en/about-claude/models",
        "2026-11-22",
    ),
    Family("simulator", (), {"embedding_inputs": 2048}, "gen/simulator", "2026-11-22"),
    Family("transformers", (), {"json_schema": False, "moderations": False}, "gen/llm/local", "2026-11-22"),
)


# What a recipe's word changes in a body, and so perhaps in the answer.
_SHAPES_BODY = ("system_role", "json_schema", "temperature", "top_p", "temperature_with_top_p", "seed")


def shaping(said: CapabilitiesLine) -> dict[str, Any]:
    """What a recipe says of a model that changes the body of a request: a part of its cache key."""
    return {name: value for name in _SHAPES_BODY if (value := getattr(said, name)) is not None}


def capabilities_of(line: ModelLine) -> ModelCapabilities:
    """What the model of a line can do: the table's word, then the recipe's `capabilities:`."""
    return _found(line.provider, line.model, own_cloud(line), line.capabilities)


def sampling(request: Request, line: ModelLine) -> Sampling:
    """The request's sampling with the model line's defaults filled in; `max_tokens` is always set, and never more than the model writes:
    a second chance asks for a multiple."""
    own = request.sampling
    asked, most = (own.max_tokens or line.max_tokens) * own.room, capabilities_of(line).max_output_tokens
    return Sampling(
        temperature=line.temperature if own.temperature is None else own.temperature,
        top_p=line.top_p if own.top_p is None else own.top_p,
        max_tokens=asked if most is None else min(asked, most),
        stop=own.stop,
    )


@lru_cache(maxsize=1024)
def _found(provider: str, model: str, hosted: bool, said: CapabilitiesLine) -> ModelCapabilities:
    api = CAPABILITIES.get(provider)
    found = ModelCapabilities(raw_prompt=api.raw_prompts, seed=api.seed) if api else ModelCapabilities()
    for family in FAMILIES:
        fits = not family.models or model.startswith(family.models)
        if family.provider == provider and fits and (hosted or not family.hosted):
            found = replace(found, **family.differs)
    return replace(found, **said.model_dump(exclude_none=True))
