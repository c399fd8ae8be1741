"""The numbers among a plugin's options: their bounds, and the values worth trying."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from gen.errors import RecipeError


def check_bounds(plugin: Any, **bounds: tuple[float, float]) -> None:
    """Each option named must lie in its bounds, both included; None, where an option may be left out, is fine.

    Raises RecipeError whose `key` is the option at fault.
    """
    for name, (low, high) in bounds.items():
        value = getattr(plugin, name)
        if value is not None and not low <= value <= high:
            raise RecipeError(f"must be from {low:g} to {high:g}, got {value:g}", key=name)


def to_try(**values: tuple[float, ...]) -> Mapping[str, tuple[float, ...]]:
    """A gate's `thresholds`: for each option that is one, the values that `sluice gates evaluate` tries on labelled samples.

    >>> dict(to_try(threshold=(0.6, 0.7, 0.8)))
    {'threshold': (0.6, 0.7, 0.8)}
    """
    return MappingProxyType(values)
