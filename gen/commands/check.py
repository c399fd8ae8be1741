"""`sluice check`: validate a recipe and show what it would send, before anything is spent."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from dataclasses import asdict
from math import isclose
from pathlib import Path
from typing import Annotated, Any

import typer

from gen import plugins
from gen.commands import check_batches, check_capabilities, check_estimate, check_ping
from gen.errors import RecipeError
from gen.estimate import busy_requests
from gen.llm.client import Client
from gen.parts import Parts, build_parts
from gen.preview import Preview, preview
from gen.recipe import Recipe, load

EXIT_DONE, EXIT_WRONG_INPUT = 0, 2


def command(
    recipe_file: Annotated[Path, typer.Argument(metavar="RECIPE", help="The recipe's file.")],
    prompts: Annotated[
        bool | None, typer.Option("--prompts/--no-prompts", help="Show each strategy's first prompts; off with --estimate or --ping.")
    ] = None,
    with_estimate: Annotated[
        bool, typer.Option("--estimate", help="Rehearse on the simulator and estimate calls, tokens, cost and time.")
    ] = False,
    run: Annotated[Path | None, typer.Option("--from", help="Estimate with the yields and token counts of this earlier run.")] = None,
    with_ping: Annotated[bool, typer.Option("--ping", help="Ask each model one tiny question, which may cost a little.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead.")] = False,
) -> int:
    """Validate a recipe and show the prompts it would send. Without --ping nothing is sent to a model of the recipe.

    Exit status: 0 valid, 2 wrong input or a model that does not answer.
    """
    if run is not None and not with_estimate:
        raise typer.BadParameter("--from RUN belongs to --estimate")
    recipe = load(recipe_file)
    parts = build_parts(recipe)
    if not (with_estimate or with_ping):
        check_models(recipe)
    previews = asyncio.run(preview(recipe, parts)) if prompts or (prompts is None and not (with_estimate or with_ping)) else []
    rounds = check_batches.rounds_in(recipe, parts)
    found, earlier = check_estimate.estimate_of(recipe, parts, run, rounds) if with_estimate else (None, None)
    pongs = check_ping.ping_models(recipe, parts) if with_ping else []
    if as_json:
        extra: dict[str, Any] = {"estimate": check_estimate.as_json(found, earlier)} if found else {}
        extra |= {"ping": check_ping.as_json(pongs)} if with_ping else {}
        extra |= check_batches.as_json(rounds)
        print(json.dumps(_as_json(recipe, parts, previews) | extra, ensure_ascii=False))
    else:
        for one in previews:
            print(f"--- {one.strategy}: {one.purpose}, to the model '{one.model}' ---")
            for role, text in one.messages:
                print(f"[{role}]\n{text}\n")
        shown = [*_summary(recipe, parts), *check_batches.lines_of(recipe, rounds)]
        print("\n".join([*shown, *(check_estimate.lines_of(recipe, found, earlier, run) if found else ())]), flush=True)
        check_ping.show(recipe, pongs)
    if any(pong.error for pong in pongs):
        return EXIT_WRONG_INPUT
    if with_estimate or with_ping:
        check_models(recipe)  # only now: an estimate needs no key
    return EXIT_DONE


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


def surplus_notes(parts: Parts) -> list[str]:
    """One line per strategy that asks for more samples at a time than some sequence of its own wants: the rest is bought for nothing."""
    notes = []
    for title, strategy in parts.strategies.items():
        asked = int(getattr(strategy, "samples_per_task", 1))
        wanted = min((one.quota for one in parts.sequences if one.title == title and one.quota > 0), default=asked)
        if wanted < asked:
            option = next((name for name in plugins.options(type(strategy)) if "_per_" in name and getattr(strategy, name) == asked), "")
            advice = f": set {option}" if option else ""
            notes.append(
                f"{title} asks for {asked} at a time where {wanted} is wanted: up to {asked - wanted} of {asked} are surplus{advice}"
            )
    return notes


def _split_notes(recipe: Recipe) -> list[str]:
    """The ratios as they will be used, where those written add up to something else than 1, or 100 for percent."""
    line = recipe.config.export.split
    total = line.train + line.validation + line.test
    if isclose(total, 1, abs_tol=1e-6) or isclose(total, 100, abs_tol=1e-6):
        return []
    used = ", ".join(f"{name} {ratio:.1%}" for name, ratio in line.ratios.items())
    return [f"the ratios of export.split add up to {total:g}, so they are taken as {used}"]


def judge_notes(parts: Parts) -> list[str]:
    """What a judge itself wants known before it is asked, such as the end of the service behind it."""
    return [f"{title}: {judge.notice}" for title, judge in parts.judges.items() if getattr(judge, "notice", "")]


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
    lines += [
        f"  note        {note}"
        for note in (*surplus_notes(parts), *_split_notes(recipe), *judge_notes(parts), *check_capabilities.notes(recipe, parts))
    ]
    lag = min((int(getattr(one, "lag", 64)) for one in parts.strategies.values()), default=64)
    slots = sum(line.max_concurrency for line in config.models.values() if line.mode == "live")
    busy = busy_requests(parts)
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
