"""Check the numbers among a plugin's options against their bounds."""

from __future__ import annotations

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
