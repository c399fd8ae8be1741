"""From a recipe to the parts that run it: sources read, plugins built, quotas worked out. Every error names the recipe's line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from gen import plugins
from gen.apportion import largest_remainder
from gen.errors import InputError, RecipeError
from gen.formats import formats
from gen.llm.capabilities import capabilities_of
from gen.llm.moderation import is_moderation
from gen.llm.provider import CAPABILITIES
from gen.pack_options import check_packing
from gen.pipeline import NamedGate, Plan
from gen.recipe import Config, ModelLine, PluginLine, Recipe
from gen.sequences import SequenceSpec
from gen.sources import personas, seed_tasks, topics
from gen.trainers.write import check_trainers, formats_for
from gen.types import EMPTY, SequenceEnd, Sources, Verdict, freeze
from gen.yaml_config import KeyPath

MAX_SLOTS = 512  # the window of tasks is twice this; more requests in flight than that belong into several processes
# With a line of `mode: batch` there is no request in flight to bound: a batch is to hold what all sequences may ask at once, and so many
# tasks, with their prompts and replies, still fit into some hundred MB.
BATCH_SLOTS = 4096


@dataclass(frozen=True, slots=True)
class Parts:
    """A recipe's parts, each under its title in the recipe."""

    sources: Sources
    strategies: Mapping[str, Any]
    gates: tuple[NamedGate, ...]
    judges: Mapping[str, Any]
    pairs: Mapping[str, Any]
    exporters: Mapping[str, Any]
    sequences: tuple[SequenceSpec, ...]

    @property
    def prompts(self) -> tuple[str, ...]:
        """The names of the prompts that these parts may render, sorted."""
        makers = (*self.strategies.values(), *self.judges.values(), *self.pairs.values())
        return tuple(sorted({name for maker in makers for name in getattr(maker, "prompts", ())}))


def build_parts(recipe: Recipe, sources: Sources | None = None) -> Parts:
    """Build everything the recipe names. `sources` stands in for the files where a run already keeps what it read from them.

    Raises RecipeError with file, line and key.
    """
    config = recipe.config
    judges = {line.title: _built(recipe, "judges", place, line) for place, line in enumerate(config.judges)}
    strategies = {line.title: _built(recipe, "strategies", place, line) for place, line in enumerate(config.strategies)}
    sources = sources or read_sources(recipe, personas_wanted=any(getattr(one, "needs_personas", False) for one in strategies.values()))
    pairs = {line.title: _built(recipe, "pairs", place, line) for place, line in enumerate(config.pairs)}
    for room, built in (("strategies", strategies), ("judges", judges), ("pairs", pairs)):
        for place, part in enumerate(built.values()):
            _check_models(recipe, (room, place), part)
            _check_moderation(recipe, (room, place), part)
            _check_answers(recipe, (room, place), part)
            _check_judge(recipe, (room, place), part, judges)
    for place, strategy in enumerate(strategies.values()):
        _check_raw_prompts(recipe, ("strategies", place), config.strategies[place].name, strategy)
        _check_sources(recipe, ("strategies", place), strategy, sources)
    gates = tuple(_gate(recipe, place, line, judges, sources) for place, line in enumerate(config.gates))
    check_packing(recipe)
    check_trainers(recipe)
    return Parts(
        sources=sources,
        strategies=strategies,
        gates=gates,
        judges=judges,
        pairs=pairs,
        exporters={name: _exporter(recipe, place, name) for place, name in enumerate(formats_for(config.export))},
        sequences=_sequences(config, strategies, sources),
    )


def read_sources(recipe: Recipe, *, personas_wanted: bool = False) -> Sources:
    """Read the files that `sources` names; the shipped seed tasks stand in where the recipe names none, the shipped personas where they
    are wanted and it names none."""
    lines, folder = recipe.config.sources, recipe.folder

    def read(room: Any, key: str, value: Any) -> Any:
        try:
            return room.read(value, folder=folder, where=f"sources.{key}")
        except InputError as error:
            raise recipe.error(("sources", key), str(error).removeprefix(f"sources.{key}: ")) from error

    return Sources(
        topics=read(topics, "topics", lines.topics) if lines.topics is not None else (),
        seed_tasks=read(seed_tasks, "seed_tasks", lines.seed_tasks),
        personas=read(personas, "personas", lines.personas) if personas_wanted or lines.personas is not None else (),
    )


def plan_of(
    recipe: Recipe,
    parts: Parts,
    *,
    before: Sequence[SequenceEnd] = (),
    regenerate: frozenset[str] = frozenset(),
    unsafe: frozenset[str] = frozenset(),
    refused: Mapping[str, Verdict] = EMPTY,
) -> Plan:
    """The loop's plan. Requests in flight are bounded by the models' `max_concurrency` together; `before` tells how the sequences of an
    earlier run of this recipe ended, `unsafe` which of `regenerate` are asked for again
    although they were unsafe, `refused` what people rejected in review."""
    config = recipe.config
    goals = {(end.strategy, end.topic): end.goals for end in before}
    return Plan(
        sequences=tuple(replace(spec, earlier=goals.get((spec.title, spec.topic), ())) for spec in parts.sequences),
        sources=parts.sources,
        seed=config.seed,
        attempts=config.attempts,
        gates=parts.gates,
        judges=tuple(parts.judges.values()),
        slots=slots_of(config),
        max_candidates=config.goal.max_candidates,
        max_seconds=config.goal.max_minutes * 60 if config.goal.max_minutes else None,
        regenerate=regenerate,
        unsafe=unsafe,
        refused=refused,
    )


def slots_of(config: Config) -> int:
    """How many requests may be in flight, or in batches, as far as the window of tasks is concerned."""
    if any(line.mode == "batch" for line in config.models.values()):
        return BATCH_SLOTS
    return min(MAX_SLOTS, sum(line.max_concurrency for line in config.models.values()))


def _sequences(config: Config, strategies: Mapping[str, Any], sources: Sources) -> tuple[SequenceSpec, ...]:
    """One sequence per strategy and topic, with its quota; a goal per topic divides each topic on its own, so that a new topic changes
    nothing for the others; one per strategy is spread evenly over the topics."""
    topic_list = sources.topics or ("",)
    shares = [line.share for line in config.strategies]
    titles = [line.title for line in config.strategies]
    if config.goal.per_strategy is not None:
        per_strategy = [largest_remainder(config.goal.per_strategy[title], [1.0] * len(topic_list)) for title in titles]
        quotas = [of[place] for place in range(len(topic_list)) for of in per_strategy]
    elif config.goal.per_topic is not None:
        quotas = largest_remainder(config.goal.per_topic, shares) * len(topic_list)
    else:
        quotas = largest_remainder(config.goal.accepted or 0, shares * len(topic_list))
    places = [(title, topic) for topic in topic_list for title in titles]
    caps = _candidate_caps(config, places, quotas)
    return tuple(
        SequenceSpec(title=title, strategy=strategies[title], topic=topic, quota=quota, max_candidates=caps.get((title, topic)))
        for (title, topic), quota in zip(places, quotas, strict=True)
    )


def _candidate_caps(config: Config, places: Sequence[tuple[str, str]], quotas: Sequence[int]) -> dict[tuple[str, str], int]:
    """The part of its strategy's cap for each (strategy, topic) that has one: in proportion to their quotas."""
    caps: dict[tuple[str, str], int] = {}
    for title, cap in config.goal.max_candidates_per_strategy.items():
        own = {place: quota for place, quota in zip(places, quotas, strict=True) if place[0] == title}
        if any(own.values()):
            caps |= zip(own, largest_remainder(cap, list(own.values())), strict=True)
    return caps


def _built(recipe: Recipe, room: Literal["strategies", "judges", "pairs"], place: int, line: PluginLine) -> Any:
    """The plugin of a line. One with an option `name` is told its title in the recipe, since two uses of it are told apart by that."""
    try:
        title = {"name": getattr(line, "title", line.name)} if "name" in plugins.options(plugins.find(room, line.name)) else {}
        return plugins.build(room, line.name, freeze(line.options | title))
    except RecipeError as error:
        raise recipe.error((room, place), error) from error


def _gate(recipe: Recipe, place: int, line: PluginLine, judges: Mapping[str, Any], sources: Sources) -> NamedGate:
    options = line.options
    mode = options.pop("mode", None)
    if mode not in ("reject", "warn", None):
        raise recipe.error(("gates", place, "mode"), f"choose from reject, warn; got {mode!r}")
    try:
        gate = plugins.build("gates", line.name, freeze(options))
    except RecipeError as error:
        raise recipe.error(("gates", place), error) from error
    _check_models(recipe, ("gates", place), gate)
    _check_embeddings(recipe, ("gates", place), gate)
    _check_sources(recipe, ("gates", place), gate, sources)
    scores = bool(getattr(gate, "reads_scores", False))
    if scores:
        _check_judge(recipe, ("gates", place), gate, judges)
    return NamedGate(name=line.name, gate=gate, scores=scores, warn=None if mode is None else mode == "warn")


def _exporter(recipe: Recipe, place: int, name: str) -> Any:
    known = list(formats())
    if name not in known:
        raise recipe.error(("export", "formats", place), f"unknown format '{name}': {plugins.suggest(name, known)}")
    try:
        exporter = plugins.build("exporters", name, {})
    except RecipeError as error:
        raise recipe.error(("export", "formats", place), error) from error
    return exporter


def _check_models(recipe: Recipe, path: KeyPath, part: Any) -> None:
    for model in getattr(part, "models", ()):
        if model not in recipe.config.models:
            key = next((name for name in plugins.options(type(part)) if getattr(part, name) == model), "model")
            right = sorted(recipe.config.models)
            raise recipe.error((*path, key), f"no model '{model}' under models: {plugins.suggest(model, right)}")


def _check_moderation(recipe: Recipe, path: KeyPath, part: Any) -> None:
    """A moderation model answers nothing but what a part that `needs_moderation` asks, and no other model answers that."""
    needed = getattr(part, "needs_moderation", False)
    for model in getattr(part, "models", ()):
        line = recipe.config.models[model]
        if needed and (line.provider not in ("openai", "simulator") or not is_moderation(line.model)):
            problem = (
                f"this needs a moderation model (provider openai, model omni-moderation-latest), '{model}' is {line.provider} {line.model}"
            )
        elif is_moderation(line.model) and not needed:
            problem = f"'{model}' is a moderation model ({line.model}): it writes no text"
        elif not needed and not capabilities_of(line).chat and not getattr(part, "needs_raw_prompt", False):
            problem = f"'{model}' ({line.model}) has no chat at {line.provider}: take a chat model"
        else:
            continue
        raise recipe.error((*path, "model"), problem)


def _check_answers(recipe: Recipe, path: KeyPath, part: Any) -> None:
    """Who writes must be a chat model, and who looks something up a tool: a part's `asks` tells the kinds that do for a model of its own.
    The simulator stands in for every kind."""
    asks = getattr(part, "asks", {})
    for model in getattr(part, "models", ()):
        line = recipe.config.models[model]
        capabilities = CAPABILITIES.get(line.provider)
        kind, wanted = capabilities.answers if capabilities else "chat", asks.get(model, ("chat",))
        if line.provider == "simulator" or kind in wanted:
            continue
        right = sorted(name for name, other in CAPABILITIES.items() if other.answers in wanted)
        key = next((name for name in plugins.options(type(part)) if getattr(part, name) == model), "model")
        problem = f"'{model}' is a line of provider '{line.provider}', which does not answer this: take one of {', '.join(right)}"
        raise recipe.error((*path, key), problem)


def _check_embeddings(recipe: Recipe, path: KeyPath, gate: Any) -> None:
    """A gate asks models for vectors and for nothing else."""
    for model in getattr(gate, "models", ()):
        line = recipe.config.models[model]
        if not capabilities_of(line).embeddings or line.mode == "batch":
            why = "is asked in batches" if line.mode == "batch" else f"({line.model} at {line.provider}) makes no embeddings"
            raise recipe.error((*path, "model"), f"'{model}' {why}: take a live line of an embedding model")


def _check_raw_prompts(recipe: Recipe, path: KeyPath, name: str, part: Any) -> None:
    """A part that `needs_raw_prompt` and a model that only chats: better said now than after the first calls."""
    for model in part.models if getattr(part, "needs_raw_prompt", False) else ():
        problem = _only_chat(recipe.config.models[model])
        if problem:
            advice = "take a model on a server with /v1/completions (vLLM, llama.cpp), or the simulator"
            raise recipe.error((*path, "model"), f"{name} needs raw prompts; {problem}: {advice}")


def _only_chat(line: ModelLine) -> str:
    """Why raw prompts cannot be sent to a model; empty when they can. An unknown provider is found where the models are checked."""
    api = CAPABILITIES.get(line.provider)
    if api is None or capabilities_of(line).raw_prompt:
        return ""
    return f"OpenAI's '{line.model}' has only chat" if api.raw_prompts else f"provider '{line.provider}' has only chat"


def _check_sources(recipe: Recipe, path: KeyPath, part: Any, sources: Sources) -> None:
    """A strategy or gate with a method `check_sources` says whether it can work with them."""
    if not hasattr(part, "check_sources"):
        return
    try:
        part.check_sources(sources)
    except RecipeError as error:
        raise recipe.error(path, error) from error


def _check_judge(recipe: Recipe, path: KeyPath, part: Any, judges: Mapping[str, Any]) -> None:
    """The judge that a gate or pair maker names must be there, know the aspect asked of it, and be able to compare answers for pairs."""
    judge = getattr(part, "judge", "")
    if not judge:
        return
    if judge not in judges:
        raise recipe.error((*path, "judge"), f"no judge '{judge}' under judges: {plugins.suggest(judge, sorted(judges))}")
    aspect, aspects = getattr(part, "aspect", ""), list(getattr(judges[judge], "aspects_scored", getattr(judges[judge], "asked", ())))
    if aspect and aspects and aspect not in aspects:
        raise recipe.error((*path, "aspect"), f"the judge '{judge}' has no aspect '{aspect}': {plugins.suggest(aspect, aspects)}")
    if path[0] == "pairs" and not hasattr(judges[judge], "compare"):
        able = [title for title, one in judges.items() if hasattr(one, "compare")]
        raise recipe.error((*path, "judge"), f"the judge '{judge}' cannot compare answers: {plugins.suggest(judge, able)}")
