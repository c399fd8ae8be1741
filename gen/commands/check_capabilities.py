"""The part of `sluice check` that tells what a recipe asks of a model that the model cannot do, where the run goes on without it."""

from __future__ import annotations

from typing import Any

from gen.llm.capabilities import ModelCapabilities, capabilities_of
from gen.parts import Parts
from gen.recipe import Recipe


def notes(recipe: Recipe, parts: Parts) -> list[str]:
    """One line per part and model for a temperature that is not sent, and for a JSON schema that is asked for in words."""
    lines: list[str] = []
    for title, part in (*parts.strategies.items(), *parts.judges.items(), *parts.pairs.items()):
        for name in getattr(part, "models", ()):
            line = recipe.config.models[name]
            lines += [f"{title} asks '{name}' ({line.model}), which {problem}" for problem in _problems(part, capabilities_of(line))]
    return lines


def _problems(part: Any, able: ModelCapabilities) -> list[str]:
    set_by_part = any(getattr(part, option, None) is not None for option in ("temperature", "answer_temperature"))
    problems = ["takes no temperature: it is not sent"] if set_by_part and not able.temperature else []
    if getattr(part, "structured", False) and not able.json_schema:
        problems.append("takes no JSON schema: the form is asked for in words")
    return problems
