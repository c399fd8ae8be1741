"""Show what a recipe would send: the first task of each strategy, asked of the simulator in place of every model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gen.llm.client import Client
from gen.parts import Parts
from gen.recipe import ModelLine, Recipe
from gen.sequences import SequenceSpec, plan_task
from gen.types import Generate, Pool, Request, Response, Sample


@dataclass(frozen=True, slots=True)
class Preview:
    """The first request of one purpose ("self_instruct.answer"): to which model of the recipe it goes and what it says."""

    strategy: str
    purpose: str
    model: str
    messages: tuple[tuple[str, str], ...]


@dataclass
class _Listener:
    generate: Generate
    heard: dict[str, Request] = field(default_factory=dict)

    async def __call__(self, request: Request) -> Response:
        self.heard.setdefault(request.purpose, request)
        return await self.generate(request)


async def preview(recipe: Recipe, parts: Parts) -> list[Preview]:
    """The first request of every purpose, strategy by strategy, then the judges'. The simulator writes the replies on the way, so what
    depends on a reply (an answer's prompt holds the instruction) shows simulated text there."""
    shown: list[Preview] = []
    async with Client(stand_ins(recipe, flaws={}), cache=None) as client:
        for title, strategy in parts.strategies.items():
            topic = parts.sources.topics[0] if parts.sources.topics else ""
            spec = SequenceSpec(title, strategy, topic, 1)
            pool = Pool(parts.sources)
            task = plan_task(spec, pool, run_seed=recipe.config.seed, where=[0, 0], index=0, attempt=0, rejected=None)
            listener = _Listener(client.generate)
            items = await strategy.run(task, pool, listener)
            sample = next((item for item in items if isinstance(item, Sample)), None)
            if sample is not None:
                for judge in parts.judges.values():
                    await judge.score(sample, listener)
            known = {one.purpose for one in shown}
            shown += [_shown(title, request) for purpose, request in listener.heard.items() if purpose not in known]
    return shown


def stand_ins(recipe: Recipe, *, flaws: Mapping[str, float]) -> dict[str, ModelLine]:
    """The recipe's model lines with the simulator in the place of every service: the same model ids (a moderation model stays one), token
    limits and concurrency, no rates."""
    return {
        name: ModelLine(
            model=line.model,
            max_tokens=line.max_tokens,
            max_concurrency=line.max_concurrency,
            tokenizer=line.tokenizer,
            simulator={"seed": recipe.config.seed, "flaws": dict(flaws)},
        )
        for name, line in recipe.config.models.items()
    }


def _shown(strategy: str, request: Request) -> Preview:
    if request.prompt is not None:
        return Preview(strategy, request.purpose, request.model, (("raw prompt", request.prompt),))
    return Preview(strategy, request.purpose, request.model, tuple((one.role, one.content) for one in request.messages))
