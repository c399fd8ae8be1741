"""The tools that a judge asks, as model lines: an HTTP search (`provider: search`), a command, a reward model's server.

A tool answers a request as a model does, say a claim in and evidence out, so that rates, retries, budgets, the cache and the ledger are
those of every other call, a replay asks nothing again, and a rehearsal puts the simulator in its place. What a line's `tool:` may say is
checked here, before anything is sent.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from dataclasses import fields as options_of
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import TypeAdapter, ValidationError

from gen.errors import RecipeError
from gen.plugins import suggest
from gen.recipe import ModelLine

MAX_EVIDENCE = 20_000  # characters of one reply that are kept; a judge cuts them shorter
_HEADER_NAME = re.compile(r"[A-Za-z0-9-]{1,60}")


@dataclass(frozen=True, slots=True)
class SearchTool:
    """How a claim is put to a search endpoint and where its JSON reply holds the finds.

    `query_parameter` names the parameter that takes the claim, in the address with GET, in the JSON body with POST; `parameters` go along
    as they are. `results` is the path to the finds (`data.items`), empty for the whole reply; of each find the `fields` are kept, all its
    texts and numbers where none is named. The key goes into the header `key_header`, as a bearer token where that is `Authorization`.
    """

    query_parameter: str = "q"
    method: Literal["GET", "POST"] = "GET"
    parameters: dict[str, str | int | float | bool] = field(default_factory=dict)
    results: str = ""
    fields: list[str] = field(default_factory=list)
    max_results: int = 5
    key_header: str = "Authorization"


@dataclass(frozen=True, slots=True)
class CommandTool:
    """`command` is a program and its arguments, run without a shell in `folder` (where Sluice was started when empty). `version` is any
    text: raise it when the program or its data changed, so that it is asked anew."""

    command: list[str]
    folder: str = ""
    version: str = ""


@dataclass(frozen=True, slots=True)
class RewardTool:
    """Where a vLLM server has a reward model: `classify` for sequence classifiers, of whose classes `label_index` counts (from 0),
    `pooling` for models that reward tokens."""

    endpoint: Literal["classify", "pooling"] = "classify"
    label_index: int = 0


def search_tool(line: ModelLine) -> SearchTool:
    """The checked `tool:` of a search line. Raises RecipeError whose key is the option at fault."""
    tool: SearchTool = _checked(SearchTool, line.tool)
    if not tool.query_parameter.strip():
        raise RecipeError("name the parameter that takes the claim, e.g. q", key="query_parameter")
    if not _HEADER_NAME.fullmatch(tool.key_header):
        raise RecipeError(f"no name of a header: {tool.key_header[:60]!r}", key="key_header")
    if not 1 <= tool.max_results <= 50:
        raise RecipeError(f"must be from 1 to 50, got {tool.max_results}", key="max_results")
    return tool


def command_tool(line: ModelLine) -> CommandTool:
    """The checked `tool:` of a command line. Raises RecipeError whose key is the option at fault."""
    tool: CommandTool = _checked(CommandTool, line.tool)
    if not tool.command or not tool.command[0].strip() or any("\0" in part for part in tool.command):
        raise RecipeError("write the program and its arguments as a list: [python, lookup.py]", key="command")
    return tool


def reward_tool(line: ModelLine) -> RewardTool:
    """The checked `tool:` of a line of reward models. Raises RecipeError whose key is the option at fault."""
    tool: RewardTool = _checked(RewardTool, line.tool)
    if not 0 <= tool.label_index < 1000:
        raise RecipeError(f"must be from 0 to 999, got {tool.label_index}", key="label_index")
    return tool


def check_tool(line: ModelLine) -> None:
    """Check what a line says beside its address. Raises RecipeError whose key is below the line: `tool.results`, `mode`."""
    try:
        if line.provider in _TOOLS:
            _TOOLS[line.provider](line)
        elif line.tool:
            raise RecipeError(f"`tool:` belongs to the providers {', '.join(_TOOLS)}, not '{line.provider}'")
    except RecipeError as error:
        raise RecipeError(error.message, key=f"tool{'.' + error.key if error.key else ''}") from error


def is_private_or_safe(base_url: str) -> bool:
    """Whether texts and a key may travel to an address: by https to anywhere, by http to this machine alone.

    >>> [is_private_or_safe(url) for url in ("https://a.example/s", "http://127.0.0.1:80", "http://localhost/s", "http://a.example/s")]
    [True, True, True, False]
    """
    parts = urlsplit(base_url)
    if parts.scheme == "https":
        return True
    host = parts.hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _checked(kind: type[Any], given: Mapping[str, Any]) -> Any:
    known = [item.name for item in options_of(kind)]
    for key in given:
        if key not in known:
            raise RecipeError(f"unknown option '{key}': {suggest(key, known)}", key=key)
    try:
        return TypeAdapter(kind).validate_python(dict(given))
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        place = ".".join(str(step) for step in first["loc"])
        message = first["msg"][0].lower() + first["msg"][1:]
        shown = "" if first["type"] == "missing" or place.startswith("parameters") else f", got {first['input']!r}"[:80]
        raise RecipeError(message + shown, key=place) from error


_TOOLS: Mapping[str, Callable[[ModelLine], Any]] = {"search": search_tool, "command": command_tool, "vllm_reward": reward_tool}
