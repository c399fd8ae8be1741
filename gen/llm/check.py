"""Check model lines before anything is spent, and say what stands behind each: endpoint, price, identity."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from gen.errors import RecipeError
from gen.llm.batching.offer import check_batch
from gen.llm.capabilities import capabilities_of
from gen.llm.keys import line_identity
from gen.llm.local.identity import check_local, local_options
from gen.llm.prices import Price, price_of
from gen.llm.provider import CAPABILITIES, Capabilities, Endpoint
from gen.llm.tools import check_tool, is_private_or_safe
from gen.plugins import suggest
from gen.recipe import BudgetLine, ModelLine
from gen.simulator import options as simulator_options
from gen.types import Json, canonical_json

KEY_REASONS = frozenset({"invalid_key", "forbidden"})  # of a ServiceStopped: whoever reads it wants to know which key it was
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,199}")
# What Sluice itself sets in a body: in `extra_body` they would change what is reserved, cached or read.
_OWN_FIELDS = frozenset(
    {"model", "messages", "prompt", "system", "max_tokens", "max_completion_tokens", "max_output_tokens", "stream", "n", "best_of", "seed"}
    | {"temperature", "top_p", "stop", "stop_sequences", "response_format", "output_config"}
)


@dataclass(frozen=True, slots=True)
class Route:
    """A checked model line and what follows from it; `limits_key` tells which lines share rate limits and one admission queue.
    `key_variable` is the environment variable that the key comes from, empty where none is sent, None where that is not known."""

    name: str
    line: ModelLine
    endpoint: Endpoint
    identity: Json
    price: Price | None
    key_variable: str | None = None

    @property
    def key_hint(self) -> str:
        """What a message about a refused key ends with: whose key it was."""
        if self.key_variable is None:
            return ""
        if self.key_variable:
            return f" (model '{self.name}', the key in {self.key_variable})"
        return f" (model '{self.name}' was asked without a key: name the variable that holds it with `api_key_env`)"

    @property
    def limits_key(self) -> tuple[Endpoint, str]:
        capabilities = CAPABILITIES.get(self.endpoint.provider)
        own_cloud = capabilities is not None and self.endpoint.base_url == capabilities.base_url
        per_model = own_cloud and capabilities is not None and capabilities.limits_per == "model"
        return self.endpoint, self.line.model if per_model else ""


def check_models(models: Mapping[str, ModelLine], budget: BudgetLine, environ: Mapping[str, str] = os.environ) -> dict[str, Route]:
    """Every model line as a Route.

    Raises RecipeError with the key at fault (`models.writer.provider`): unknown provider, missing or unusable key, unusable address,
    options that the API does not take, or a USD budget with a model whose price nobody knows.
    """
    routes = {name: _route(name, line, environ) for name, line in models.items()}
    for name, route in routes.items():
        if budget.usd is not None and route.price is None:
            raise RecipeError(
                f"the price of '{route.line.model}' is unknown, so `budget.usd` cannot be kept; add `price: {{input: …, output: …}}` "
                "in USD per million tokens, or use `budget.tokens` or `budget.calls`",
                key=f"models.{name}.price",
            )
    return routes


def ready_route(name: str, line: ModelLine) -> Route:
    """The route of a line whose provider was handed in ready: no key and no address are asked for."""
    return Route(name, line, Endpoint(line.provider, line.base_url or "", options=f"ready {name}"), line_identity(line), price_of(line))


def _route(name: str, line: ModelLine, environ: Mapping[str, str]) -> Route:
    capabilities = CAPABILITIES.get(line.provider)
    if capabilities is None:
        raise RecipeError(
            f"unknown provider '{line.provider}': {suggest(line.provider, sorted(CAPABILITIES))}", key=f"models.{name}.provider"
        )
    if not line.model.strip():
        raise RecipeError("name the model as its provider calls it", key=f"models.{name}.model")
    _check_sampling(name, line)
    check_batch(name, line)
    try:
        check_tool(line)
        check_local(line)
    except RecipeError as error:
        raise RecipeError(error.message, key=f"models.{name}.{error.key}") from error
    for key in line.extra_body:
        if key in _OWN_FIELDS:
            raise RecipeError(f"'{key}' is set by Sluice and cannot stand here", key=f"models.{name}.extra_body.{key}")
    if capabilities.own_server:
        endpoint = _own_server(name, line)
    elif capabilities.on_this_machine:
        if line.base_url is not None:
            raise RecipeError(f"provider '{line.provider}' runs on this machine and has no address", key=f"models.{name}.base_url")
        key = _api_key(name, line, capabilities, "", environ)
        local = line.provider == "transformers"
        endpoint = Endpoint(line.provider, api_key=key, options=local_options(line) if local else canonical_json(line.tool))
    else:
        base_url = _base_url(name, line, capabilities)
        if capabilities.answers in ("lookup", "likelihoods") and not is_private_or_safe(base_url):
            raise RecipeError("write it with https: http goes to this machine alone", key=f"models.{name}.base_url")
        endpoint = Endpoint(line.provider, base_url, _api_key(name, line, capabilities, base_url, environ))
    variable = _key_variable(line, capabilities, endpoint.base_url) or ""
    return Route(name, line, endpoint, line_identity(line), price_of(line), variable)


def _check_sampling(name: str, line: ModelLine) -> None:
    able = capabilities_of(line)
    for key, value, takes in (("temperature", line.temperature, able.temperature), ("top_p", line.top_p, able.top_p)):
        if value is not None and not takes:
            raise RecipeError(
                f"'{line.model}' takes no {key}; remove it (or, where that is wrong by now, add `capabilities: {{{key}: true}}`)",
                key=f"models.{name}.{key}",
            )
    if line.temperature is not None and line.temperature > able.max_temperature:
        raise RecipeError(
            f"{line.provider} takes a temperature up to {able.max_temperature:g}, got {line.temperature:g}",
            key=f"models.{name}.temperature",
        )
    if line.temperature is not None and line.top_p is not None and not able.temperature_with_top_p:
        raise RecipeError(f"{line.provider} takes temperature or top_p, not both; remove one", key=f"models.{name}.top_p")
    if able.max_output_tokens is not None and line.max_tokens > able.max_output_tokens:
        raise RecipeError(
            f"'{line.model}' writes at most {able.max_output_tokens} tokens, got {line.max_tokens}", key=f"models.{name}.max_tokens"
        )


def _own_server(name: str, line: ModelLine) -> Endpoint:
    if line.base_url is not None:
        raise RecipeError(
            "the simulator chooses its own address; for one that runs already use `provider: openai` with its address",
            key=f"models.{name}.base_url",
        )
    try:
        simulator_options.from_mapping(line.simulator)
    except RecipeError as error:
        raise RecipeError(error.message, key=f"models.{name}.simulator{'.' + error.key if error.key else ''}") from error
    return Endpoint(line.provider, options=canonical_json(line.simulator))


def _base_url(name: str, line: ModelLine, capabilities: Capabilities) -> str:
    base_url = line.base_url or capabilities.base_url
    if not base_url:
        raise RecipeError(f"provider '{line.provider}' needs a `base_url`", key=f"models.{name}.base_url")
    key = f"models.{name}.base_url"
    try:
        parts = urlsplit(base_url)
        port_is_fine = parts.port is None or parts.port > 0
    except ValueError as error:
        raise RecipeError(f"not an address: {error}", key=key) from error
    if parts.scheme not in ("http", "https") or not parts.hostname or not port_is_fine or not base_url.isascii() or " " in base_url:
        raise RecipeError("not an address; write it as http://HOST:PORT/v1 or https://HOST/v1", key=key)
    if parts.username or parts.password or parts.query or parts.fragment:
        raise RecipeError(
            "the address must hold no user, password, query or fragment; keys come from the environment (`api_key_env`)", key=key
        )
    return base_url.rstrip("/")


def _api_key(name: str, line: ModelLine, capabilities: Capabilities, base_url: str, environ: Mapping[str, str]) -> str:
    """The key from the environment."""
    variable = _key_variable(line, capabilities, base_url)
    if variable is None:
        return ""
    if not _VARIABLE.fullmatch(variable):  # perhaps a key itself, so it is not shown
        raise RecipeError(
            "write the NAME of an environment variable here, such as OPENAI_API_KEY, never a key", key=f"models.{name}.api_key_env"
        )
    key = environ.get(variable, "").strip()
    if not key:
        hint = "" if line.api_key_env else ", or name another variable with `api_key_env`"
        raise RecipeError(f"the environment variable {variable} is not set; set it to the API key{hint}", key=f"models.{name}.api_key_env")
    if not key.isascii() or not key.isprintable() or " " in key:
        raise RecipeError(f"the environment variable {variable} holds characters that no key has", key=f"models.{name}.api_key_env")
    return key


def _key_variable(line: ModelLine, capabilities: Capabilities, base_url: str) -> str | None:
    """The variable of the key. The vendor's own is only ever sent to the vendor: another server's needs `api_key_env`."""
    return line.api_key_env or (capabilities.api_key_env if base_url == capabilities.base_url else None)
