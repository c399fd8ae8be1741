"""`sluice regenerate`: a second chance for what failed."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from gen.commands.run import EXIT_INTERRUPTED, closing, run_until_done
from gen.errors import InputError
from gen.recipe import parse
from gen.regenerate import Recovered, choose, recovered, unsafe_among
from gen.run_folder import kept_sources, open_ledger

EXIT_DONE, EXIT_SHORT = 0, 1


def command(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The run's folder.")],
    gate: Annotated[list[str] | None, typer.Option(help="Only what this gate rejected; may be given more than once.")] = None,
    reason: Annotated[list[str] | None, typer.Option(help="Only what was rejected for this reason; may be given more than once.")] = None,
    ids: Annotated[str, typer.Option(help="Only these candidates, ids separated by commas.")] = "",
    include_unsafe: Annotated[bool, typer.Option("--include-unsafe", help="Ask again for what was rejected as unsafe, too.")] = False,
    cache: Annotated[Path, typer.Option(help="The cache of replies, shared by all runs.")] = Path("runs/cache.db"),
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No live view; the end only.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object at the end instead.")] = False,
) -> int:
    """Ask again for what failed, with the gate, the reason and the detail in the prompt and with other sampling.

    What passes is added to the run, also beyond its goal, and stays in later runs. What a person rejected in `sluice review` counts as
    rejected by the gate `review`; its reason and note go into the prompt. Unsafe candidates need --include-unsafe.
    Exit status: 0 something was recovered, 1 nothing was, 2 wrong input, 130 interrupted.
    """
    ledger = open_ledger(run)
    try:
        text, sources = ledger.fact("recipe"), kept_sources(ledger)
        named = [one.strip() for one in ids.split(",") if one.strip()]
        chosen = choose(ledger, gates=gate or (), reasons=reason or (), ids=named, include_unsafe=include_unsafe)
        unsafe = unsafe_among(ledger, chosen)
    finally:
        ledger.close()
    if text is None:
        raise InputError(f"{run} has not been run yet: it knows no recipe")
    if not chosen:
        print("nothing to ask for again: every rejected candidate was asked for again already, or cannot be mended")
        return EXIT_SHORT
    recipe, show = parse(text, run / "recipe.yaml"), not (as_json or quiet)
    result = run_until_done(recipe, run, cache, show=show, regenerate=chosen, unsafe=unsafe, sources=sources)
    ledger = open_ledger(run)
    try:
        brought = recovered(ledger, chosen)
    finally:
        ledger.close()
    if as_json:
        cost, requests = result.session.cost, result.session.requests
        print(json.dumps({"asked": len(chosen), "recovered": [asdict(one) for one in brought], "requests": requests, "cost": cost}))
    else:
        print("\n".join((*_lines(brought), closing(result))))
    if result.stop == "interrupted":
        return EXIT_INTERRUPTED
    return EXIT_DONE if any(one.accepted for one in brought) else EXIT_SHORT


def _lines(brought: list[Recovered]) -> list[str]:
    asked, accepted = sum(one.asked for one in brought), sum(one.accepted for one in brought)
    width = max(len(one.fate) for one in brought)
    return [
        f"asked again for {asked}: {accepted} recovered in the end",
        *(f"  {one.fate:<{width}}  {one.accepted} of {one.asked}" for one in brought),
    ]
