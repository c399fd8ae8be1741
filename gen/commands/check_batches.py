"""The part of `sluice check` that speaks of batches: who has the API, and how many a run waits for one after another."""

from __future__ import annotations

import asyncio
from typing import Any

from gen.batch_rounds import Rounds, rounds_of
from gen.llm.batching.offer import offers_batches
from gen.parts import Parts
from gen.recipe import Recipe


def rounds_in(recipe: Recipe, parts: Parts) -> Rounds | None:
    """None where no model is asked in batches."""
    return asyncio.run(rounds_of(recipe, parts)) if any(line.mode == "batch" for line in recipe.config.models.values()) else None


def lines_of(recipe: Recipe, rounds: Rounds | None) -> list[str]:
    """What a person reads; nothing for a recipe whose models are all simulated and asked one by one."""
    models = recipe.config.models
    in_use = [name for name, line in models.items() if line.mode == "batch"]
    able = [name for name, line in models.items() if name not in in_use and line.provider != "simulator" and offers_batches(line)]
    told = [f"{', '.join(in_use)} in use"] if in_use else []
    told += [f"{', '.join(able)} could be asked with `mode: batch`"] if able else []
    lines = [f"  batch API   {'; '.join(told)}"] if told else []
    if rounds is not None:
        count = f"{rounds.low}" if rounds.low == rounds.high else f"{rounds.low} to {rounds.high}"
        lines.append(
            f"  note        about {count} batches one after another, each mostly within the hour and at most a day: more topics, a longer "
            "`lag` and fewer steps per task make them fewer"
        )
    return lines


def as_json(rounds: Rounds | None) -> dict[str, Any]:
    """For `--json`: null without batches."""
    return {"batches_in_a_row": None if rounds is None else {"low": rounds.low, "high": rounds.high, "per_task": dict(rounds.depths)}}
