"""How many batches a recipe waits for one after another: what decides the time of a run with `mode: batch`, far more than its size.

A task asks in steps (instructions, answers, opinions), each of which needs the replies of the one before, so each is a batch of its own.
And a sequence plans at most `lag` tasks beyond what has come out, so a long sequence takes several waves of all its steps. Tasks of all
topics and strategies share the batches of a wave. How deep a task is, is counted on the simulator; the rest is arithmetic.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from gen.llm.client import Client
from gen.parts import BATCH_SLOTS, Parts
from gen.pipeline import TASKS_PER_SLOT
from gen.preview import stand_ins
from gen.recipe import Recipe
from gen.sequences import DEFAULT_LAG, SequenceSpec, plan_task
from gen.types import Generate, Pool, Request, Response, Sample

# Accepted among candidates, as in the estimate: a good and a strict funnel.
_YIELDS = (0.95, 0.60)
_STEPS_OF_PAIRS = 2  # candidates for a prompt, then opinions on them


@dataclass(frozen=True, slots=True)
class Rounds:
    """Batches one after another, from `low` to `high`; `depths` says how many of them one task of each strategy takes."""

    low: int
    high: int
    depths: Mapping[str, int]


@dataclass
class _Depth:
    """A `Generate` that counts how many calls in batches stand one behind the other: each begins after all that had come back."""

    generate: Generate
    batched: frozenset[str]
    reached: int = 0

    async def __call__(self, request: Request) -> Response:
        own = self.reached + (request.model in self.batched)
        response = await self.generate(request)
        self.reached = max(self.reached, own)
        return response


@dataclass(frozen=True, slots=True)
class _Shape:
    """What matters of a strategy: samples of a task, tasks that may be under way in a sequence, steps in batches."""

    samples: int
    lag: int
    depth: int


async def rounds_of(recipe: Recipe, parts: Parts) -> Rounds | None:
    """About how many batches a run of `recipe` waits for one after another; None where no model is asked in batches.

    Nothing is sent: the simulator answers in the place of every model.
    """
    batched = frozenset(name for name, line in recipe.config.models.items() if line.mode == "batch")
    if not batched:
        return None
    depths = await _depths(recipe, parts, batched)
    shapes = {
        title: _Shape(int(getattr(one, "samples_per_task", 1)), int(getattr(one, "lag", DEFAULT_LAG)), depths[title])
        for title, one in parts.strategies.items()
    }
    pairs = _STEPS_OF_PAIRS if parts.pairs else 0
    low = reckon(parts.sequences, shapes, max(_YIELDS))
    again = max((depths[one.title] for one in parts.sequences if one.quota > 0), default=0)  # rejected samples get another attempt
    high = reckon(parts.sequences, shapes, min(_YIELDS)) + again
    return Rounds(low + pairs, max(low, high) + pairs, depths)


def reckon(sequences: tuple[SequenceSpec, ...], shapes: Mapping[str, _Shape], share: float) -> int:
    """Batches one after another where `share` of the candidates is accepted: the longest sequence's, or what the window of tasks makes of
    all together."""
    turns = [(math.ceil(one.quota / share / shapes[one.title].samples), shapes[one.title]) for one in sequences if one.quota > 0]
    longest = max((math.ceil(count / shape.lag) * shape.depth for count, shape in turns), default=0)
    windows = math.ceil(sum(count for count, _ in turns) / (TASKS_PER_SLOT * BATCH_SLOTS))
    return max(longest, windows * max((shape.depth for _, shape in turns), default=0))


async def _depths(recipe: Recipe, parts: Parts, batched: frozenset[str]) -> dict[str, int]:
    """For each strategy the steps in batches of one task, and of the judges after it."""
    depths: dict[str, int] = {}
    async with Client(stand_ins(recipe, flaws={}), cache=None) as client:
        for title, strategy in parts.strategies.items():
            spec = SequenceSpec(title, strategy, parts.sources.topics[0] if parts.sources.topics else "", 1)
            pool = Pool(parts.sources)
            task = plan_task(spec, pool, run_seed=recipe.config.seed, where=[0, 0], index=0, attempt=0, rejected=None)
            counting = _Depth(client.generate, batched)
            items = await strategy.run(task, pool, counting)
            sample = next((item for item in items if isinstance(item, Sample)), None)
            if sample is not None:
                for judge in parts.judges.values():
                    await judge.score(sample, counting)
            depths[title] = counting.reached
    return depths
