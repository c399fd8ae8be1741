"""The part of `sluice check` that asks every model one tiny question."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import asdict
from typing import Any

from gen.llm.ping import Pong, ping
from gen.parts import Parts
from gen.recipe import Recipe


def ping_models(recipe: Recipe, parts: Parts) -> list[Pong]:
    """One answer or error per model line, in the recipe's order; all are asked at once."""
    raw = only_raw(parts)

    async def ask() -> list[Pong]:
        return await asyncio.gather(*(ping(name, line, raw=name in raw) for name, line in recipe.config.models.items()))

    return asyncio.run(ask())


def only_raw(parts: Parts) -> frozenset[str]:
    """The models that are asked nothing but raw prompts: base models without a chat template."""
    raw: set[str] = set()
    chat: set[str] = set()
    for part in (*parts.strategies.values(), *parts.judges.values(), *parts.pairs.values()):
        models = tuple(getattr(part, "models", ()))
        if getattr(part, "needs_raw_prompt", False):
            raw.update(models)
        else:
            chat.update(models)
    return frozenset(raw - chat)


def show(recipe: Recipe, pongs: list[Pong]) -> None:
    """A line per model: answers to standard output, errors to stderr."""
    for pong in pongs:
        line = recipe.config.models[pong.name]
        if pong.error:
            print(f"sluice: {pong.name} ({line.provider}: {line.model}): {pong.error}", file=sys.stderr)
        else:
            print(f"{pong.name} ({line.provider}: {line.model}): {_answer(pong)}")


def as_json(pongs: list[Pong]) -> list[dict[str, Any]]:
    """For `--json`: an object per model; `price` is null when unknown."""
    return [asdict(pong) | {"answered": not pong.error, "price": pong.price or None} for pong in pongs]


def _answer(pong: Pong) -> str:
    reported = "".join(character if character.isprintable() else "\ufffd" for character in pong.reported[:100])
    parts = [f"answered in {pong.seconds:.2f} s", f"as {reported or 'no model named'}"]
    parts.append(f"price known ({pong.price})" if pong.price else "price unknown")
    stated = [f"{limit.limit:,.0f} {limit.kind.replace('_', ' ')} ({limit.remaining:,.0f} left)" for limit in pong.limits]
    parts.append(f"limits {', '.join(stated)}" if stated else "no limits in its headers")
    if pong.simulated:
        parts.append("written by the simulator")
    return ", ".join(parts)
