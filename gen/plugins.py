"""Find a gate, strategy, judge, pair maker or exporter by its name and build it from a recipe's options.

The file's name is the config's name: `gen.gates.<name>` holds `PLUGIN`, a frozen dataclass whose fields are the options with their
defaults. Other packages add theirs by an entry point in the group `sluice.<room>` (`sluice.gates`, `sluice.strategies`, …) that names
such a class; ours win over an entry point of the same name. Nothing is imported before it is named.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields
from difflib import get_close_matches
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError

from gen.errors import RecipeError

ROOMS = ("gates", "strategies", "judges", "pairs", "exporters")
_STRICT = ConfigDict(strict=False, arbitrary_types_allowed=True)


def names(room: str) -> list[str]:
    """The names that a recipe may use in `room`, ours and other packages', sorted."""
    package = importlib.import_module(f"gen.{room}")
    ours = {module.name for module in pkgutil.iter_modules(package.__path__) if not module.name.startswith("_")}
    return sorted(ours | set(_others(room)))


@cache
def find(room: str, name: str) -> type[Any]:
    """The class behind `name`.

    Raises RecipeError with the right names when there is none, or when another package's entry point cannot be loaded.
    """
    package = importlib.import_module(f"gen.{room}")
    if any(module.name == name for module in pkgutil.iter_modules(package.__path__)) and not name.startswith("_"):
        plugin: type[Any] = importlib.import_module(f"gen.{room}.{name}").PLUGIN
        return plugin
    entry = _others(room).get(name)
    if entry is None:
        raise RecipeError(f"unknown {_singular(room)} '{name}': {suggest(name, names(room))}")
    try:
        loaded: type[Any] = entry.load()
    except (ImportError, AttributeError) as error:
        raise RecipeError(f"{_singular(room)} '{name}' of {entry.value} cannot be loaded: {error}") from error
    return loaded


def options(plugin: type[Any]) -> dict[str, Field[Any]]:
    """The options of a plugin by name: the fields that its constructor takes."""
    return {item.name: item for item in fields(plugin) if item.init}


def required(plugin: type[Any]) -> list[str]:
    """The options that have no default."""
    return [name for name, item in options(plugin).items() if item.default is MISSING and item.default_factory is MISSING]


def build(room: str, name: str, given: Mapping[str, Any]) -> Any:
    """The plugin `name` with the options `given`, types checked.

    Raises RecipeError whose `key` is the option at fault.
    """
    plugin = find(room, name)
    known = options(plugin)
    for key in given:
        if key not in known:
            raise RecipeError(f"unknown option '{key}' of {_singular(room)} '{name}': {suggest(key, sorted(known))}", key=key)
    for key in required(plugin):
        if key not in given:
            raise RecipeError(f"{_singular(room)} '{name}' needs the option '{key}'", key=key)
    hints = _hints(plugin, known)
    values = {key: _checked(room, name, key, hints[key], value) for key, value in given.items()}
    try:
        return plugin(**values)
    except ValueError as error:
        raise RecipeError(f"{_singular(room)} '{name}': {error}") from error


def suggest(wrong: str, right: list[str]) -> str:
    """`did you mean 'x'? choose from a, b, c`: the end of every message about a wrong name."""
    close = get_close_matches(wrong, right, n=1)
    return f"{f'did you mean {close[0]!r}? ' if close else ''}choose from {', '.join(right) or '(none)'}"


def _checked(room: str, name: str, key: str, hint: Any, value: Any) -> Any:
    try:
        return TypeAdapter(hint, config=_config(hint)).validate_python(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        raise RecipeError(f"option '{key}' of {_singular(room)} '{name}': {first['msg'].lower()}, got {value!r}", key=key) from error


def _hints(plugin: type[Any], known: Mapping[str, Field[Any]]) -> dict[str, Any]:
    """The options' types, each resolved in the module of the class that declares it; a plugin's private fields are left alone."""
    hints: dict[str, Any] = {}
    for owner in reversed(plugin.__mro__):
        own = {name: hint for name, hint in vars(owner).get("__annotations__", {}).items() if name in known}
        hints |= get_type_hints(type("Options", (), {"__annotations__": own, "__module__": owner.__module__})) if own else {}
    return hints


def _config(hint: Any) -> ConfigDict | None:
    return None if isinstance(hint, type) and hasattr(hint, "__pydantic_config__") else _STRICT


@cache
def _others(room: str) -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=f"sluice.{room}")}


def _singular(room: str) -> str:
    return {"strategies": "strategy", "pairs": "pair maker"}.get(room, room.rstrip("s"))
