"""`sluice check`: validate a recipe and show what it would send, before anything is spent."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from gen.errors import RecipeError
from gen.llm.client import Client
from gen.parts import Parts, build_parts
from gen.preview import Preview, preview
from gen.recipe import Recipe, load


def command(
    recipe_file: Annotated[Path, typer.Argument(metavar="RECIPE", help="The recipe's file.")],
    prompts: Annotated[bool, typer.Option(help="Show the rendered prompts of each strategy's first task.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead.")] = False,
) -> None:
    """Validate a recipe and show the prompts it would send. Nothing is sent to a model of the recipe."""
    recipe = load(recipe_file)
    parts = build_parts(recipe)
    check_models(recipe)
    previews = asyncio.run(preview(recipe, parts)) if prompts else []
    if as_json:
        print(json.dumps(_as_json(recipe, parts, previews), ensure_ascii=False))
        return
    for one in previews:
        print(f"--- {one.strategy}: {one.purpose}, to the model '{one.model}' ---")
        for role, text in one.messages:
            print(f"[{role}]\n{text}\n")
    print("\n".join(_summary(recipe, parts)))


def check_models(recipe: Recipe) -> None:
    """Raise RecipeError, with its place in the file, for a model line that could not be used."""
    try:
        Client(recipe.config.models, budget=recipe.config.budget, cache=None).check()
    except RecipeError as error:
        raise recipe.error(model_path(error.key, recipe.config.models), error.message) from error


def model_path(key: str, models: Iterable[str]) -> tuple[str, ...]:
    """The path of a key such as `models.gpt-4.1.price`: a model's name may hold dots itself.

    >>> model_path("models.gpt-4.1.price", ["gpt-4.1", "gpt-4"])
    ('models', 'gpt-4.1', 'price')
    """
    for name in sorted(models, key=len, reverse=True):
        if key.startswith(f"models.{name}."):
            return ("models", name, *key.removeprefix(f"models.{name}.").split("."))
    return tuple(key.split("."))


def _summary(recipe: Recipe, parts: Parts) -> list[str]:
    config = recipe.config
    goal = sum(one.quota for one in parts.sequences)
    models = ", ".join(f"{name} ({line.provider}: {line.model})" for name, line in config.models.items())
    lines = [
        f"{recipe.file} is valid (recipe {recipe.hash})",
        f"  models      {models}",
        f"  topics      {len(parts.sources.topics) or 'none'}; seed tasks {len(parts.sources.seed_tasks)}",
        f"  strategies  {', '.join(parts.strategies)}",
        f"  gates       {', '.join(one.name + (' (warn)' if one.warn else '') for one in parts.gates)}",
        f"  goal        {goal} accepted in {len(parts.sequences)} sequences, up to {config.attempts} attempts each",
    ]
    lag = min((int(getattr(one, "lag", 64)) for one in parts.strategies.values()), default=64)
    slots = sum(line.max_concurrency for line in config.models.values())
    busy = len(parts.sequences) * lag * 3
    if busy < slots:
        lines.append(
            f"  note        {len(parts.sequences)} sequences with a lag of {lag} keep about {busy} of {slots} requests in flight: "
            "a longer `lag` fills them"
        )
    if any(line.provider == "simulator" for line in config.models.values()):
        lines.append("  note        the simulator writes this data: it is marked simulated everywhere and must not be trained on")
    return lines


def _as_json(recipe: Recipe, parts: Parts, previews: list[Preview]) -> dict[str, Any]:
    return {
        "recipe": str(recipe.file),
        "hash": recipe.hash,
        "topics": list(parts.sources.topics),
        "strategies": list(parts.strategies),
        "gates": [one.name for one in parts.gates],
        "sequences": [{"strategy": one.title, "topic": one.topic, "goal": one.quota} for one in parts.sequences],
        "prompts": [asdict(one) for one in previews],
    }
