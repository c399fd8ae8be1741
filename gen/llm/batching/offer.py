"""Who offers a batch API: checked before a run, connected when a line of `mode: batch` is used."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from gen.errors import RecipeError
from gen.llm.batching.api import BatchApi
from gen.llm.batching.batcher import Batcher
from gen.llm.cache import Cache
from gen.llm.capabilities import capabilities_of
from gen.llm.clock import Clock
from gen.llm.keys import line_identity
from gen.llm.provider import CAPABILITIES, Endpoint, own_cloud
from gen.recipe import ModelLine
from gen.types import canonical_json

_MODULES: Mapping[str, str] = {
    "openai": "gen.llm.providers.openai_batch",
    "anthropic": "gen.llm.providers.anthropic_batch",
    "simulator": "gen.llm.providers.simulator_batch",
}


def offers_batches(line: ModelLine) -> bool:
    """Whether the service behind a line has a batch API: the vendors' own clouds do, the simulator does, another server where the line
    says so (`batch: {offered: true}`)."""
    if line.provider not in _MODULES:
        return False
    known = CAPABILITIES[line.provider].own_server or (own_cloud(line) and capabilities_of(line).batch)
    return known or line.batch.offered


def check_batch(name: str, line: ModelLine) -> None:
    """Raise RecipeError for a line of `mode: batch` whose service has no batch API as far as is known."""
    if line.mode != "batch" or offers_batches(line):
        return
    if line.provider not in _MODULES:
        having = ", ".join(sorted(_MODULES))
        raise RecipeError(f"provider '{line.provider}' has no batch API, only {having} have one; remove `mode`", key=f"models.{name}.mode")
    raise RecipeError(
        f"whether the server at {line.base_url} has a batch API is not known; add `batch: {{offered: true}}` if it has, or remove `mode`",
        key=f"models.{name}.mode",
    )


def connect_batches(endpoint: Endpoint, lines: Mapping[str, ModelLine], cache: Cache | None, clock: Clock) -> Batcher:
    """The batcher for the batch lines at one endpoint.

    Raises RecipeError without a cache: what a batch brings must outlive the program that sent it.
    """
    first = next(iter(lines))
    if cache is None:
        raise RecipeError("a batch outlives the program that sent it, so it needs a cache", key=f"models.{first}.mode")
    module: Any = importlib.import_module(_MODULES[endpoint.provider])
    api: BatchApi = module.connect(endpoint)
    service = canonical_json([endpoint.provider, line_identity(lines[first])])
    return Batcher(api, lines, service, cache, clock)
