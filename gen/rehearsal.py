"""Rehearse a recipe to count what it would ask: its real pipeline, gates, judges and pairs, the simulator in the place of every model.

Prompts are those of the run (same seed, same sources), so calls and input tokens are told well; replies are the simulator's, with its
usual flaws. Nothing is written and nothing leaves the machine. Of a big goal a part is rehearsed: some topics of each strategy, some
samples of each.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Any

from gen.llm.client import Client
from gen.parts import Parts, build_parts, plan_of
from gen.pipeline import Pipeline
from gen.preview import stand_ins
from gen.recipe import Recipe
from gen.recorder import EMBED_PURPOSE
from gen.sequences import SequenceSpec
from gen.simulator.options import DEFAULT_FLAWS
from gen.text import estimate_tokens
from gen.types import Generate, Outcome, Request, Response

MOST_ACCEPTED = 240  # of a recipe; a run of this size takes a few seconds
LEAST_ACCEPTED = 20  # of each strategy, so that its share of rejects is seen
MOST_TOPICS = 12  # of each strategy, spread over the list
_CANDIDATES_PER_ACCEPTED = 5  # a recipe whose gates reject more than this ends its rehearsal there
_MOST_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Step:
    """The calls for one purpose ("self_instruct.answer") to one of the recipe's models, and their tokens in all."""

    model: str
    purpose: str
    calls: int
    input_tokens: int
    output_tokens: int


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """What one strategy did. `quotas` are those of its sequences in the recipe; `accepted` and `candidates` were rehearsed."""

    strategy: str
    quotas: tuple[int, ...]
    samples_per_task: int
    accepted: int
    candidates: int
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What the strategies did, judges included, and what the pairs of the `accepted` samples took."""

    strategies: tuple[Rehearsed, ...]
    pairs: tuple[Step, ...] = ()

    @property
    def goal(self) -> int:
        return sum(sum(one.quotas) for one in self.strategies)

    @property
    def accepted(self) -> int:
        return sum(one.accepted for one in self.strategies)

    @property
    def candidates(self) -> int:
        return sum(one.candidates for one in self.strategies)


@dataclass
class _Counter:
    """A `Generate` and an `Embed` that count what comes back."""

    generate: Generate
    vectors: Callable[..., Awaitable[Sequence[Sequence[float]]]]
    counts: dict[tuple[str, str], list[int]] = field(default_factory=dict)

    async def __call__(self, request: Request) -> Response:
        response = await self.generate(request)
        self._count(request.model, request.purpose, response.usage.input_tokens, response.usage.output_tokens)
        return response

    async def embed(self, text: str, model: str) -> Sequence[float]:
        (vector,) = await self.vectors([text], model=model)
        self._count(model, EMBED_PURPOSE, estimate_tokens(text), 0)
        return vector

    def _count(self, model: str, purpose: str, asked: int, said: int) -> None:
        row = self.counts.setdefault((model, purpose), [0, 0, 0])
        row[:] = row[0] + 1, row[1] + asked, row[2] + said

    def steps(self) -> tuple[Step, ...]:
        return tuple(Step(model, purpose, *row) for (model, purpose), row in sorted(self.counts.items()))


async def rehearse(recipe: Recipe, *, most_accepted: int = MOST_ACCEPTED) -> Rehearsal:
    """Rehearse every strategy of `recipe`, each with gates of its own, then its pairs.

    Raises RecipeError for a recipe that cannot be built, as a run would.
    """
    sources = build_parts(recipe).sources
    done: list[Rehearsed] = []
    outcomes: list[Outcome] = []
    async with Client(stand_ins(recipe, flaws=DEFAULT_FLAWS), cache=None) as client:
        for title in (line.title for line in recipe.config.strategies):
            one, came_out = await _rehearse(
                recipe, build_parts(recipe, sources), title, _Counter(client.generate, client.embed), most_accepted
            )
            done.append(one)
            outcomes += came_out
        return Rehearsal(tuple(done), await _pairs(build_parts(recipe, sources), outcomes, _Counter(client.generate, client.embed)))


def part_of(specs: Sequence[SequenceSpec], most: int) -> tuple[SequenceSpec, ...]:
    """The sequences to rehearse: at most `MOST_TOPICS` of them, evenly spread, with quotas of about `most` together."""
    wanted = [spec for spec in specs if spec.quota > 0]
    count = min(MOST_TOPICS, len(wanted))
    chosen = [wanted[place * len(wanted) // count] for place in range(count)]
    each = math.ceil(most / count) if count else 0
    return tuple(replace(spec, quota=min(spec.quota, each)) for spec in chosen)


async def _rehearse(recipe: Recipe, parts: Parts, title: str, counter: _Counter, most_accepted: int) -> tuple[Rehearsed, list[Outcome]]:
    own = [spec for spec in parts.sequences if spec.title == title]
    goal, whole = sum(spec.quota for spec in own), sum(spec.quota for spec in parts.sequences)
    most = max(LEAST_ACCEPTED, most_accepted * goal // max(1, whole))
    plan = replace(
        plan_of(recipe, parts),
        sequences=part_of(own, most),
        max_candidates=_CANDIDATES_PER_ACCEPTED * most,
        max_seconds=_MOST_SECONDS,
    )
    outcomes: list[Outcome] = []
    async with aclosing(Pipeline(plan, counter, counter.embed).outcomes()) as stream:
        async for outcome in stream:
            outcomes.append(outcome)
    return (
        Rehearsed(
            strategy=title,
            quotas=tuple(spec.quota for spec in own),
            samples_per_task=int(getattr(parts.strategies[title], "samples_per_task", 1)),
            accepted=sum(outcome.accepted for outcome in outcomes),
            candidates=len(outcomes),
            steps=counter.steps(),
        ),
        outcomes,
    )


async def _pairs(parts: Parts, outcomes: list[Outcome], counter: _Counter) -> tuple[Step, ...]:
    for maker in parts.pairs.values():
        judge: Any = parts.judges.get(getattr(maker, "judge", ""))
        await maker.make(outcomes, counter, judge)
    return counter.steps()
