"""`sluice pairs`: preference pairs of a run, as its recipe or another one says."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Annotated, Any

import typer

from gen.llm.telemetry import observed
from gen.pairs_stage import PairsResult, pairs_of_run

EXIT_DONE, EXIT_SHORT = 0, 1


def command(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The run's folder.")],
    recipe_file: Annotated[
        Path | None, typer.Option("--recipe", help="Take `pairs`, the judges and models they need and `budget` from this recipe instead.")
    ] = None,
    cache: Annotated[Path, typer.Option(help="The cache of replies, shared by all runs.")] = Path("runs/cache.db"),
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead.")] = False,
) -> int:
    """Make the preference pairs of a run and write its files again. What was answered before is not paid twice.

    Exit status: 0 done, 1 no pair was made, 2 wrong input or nobody answered.
    """
    with observed("pairs", run.name):
        result = asyncio.run(pairs_of_run(run, cache_path=cache, recipe_file=recipe_file))
    print(json.dumps(_as_json(run, result), ensure_ascii=False) if as_json else closing(result))
    return EXIT_DONE if result.written.pairs else EXIT_SHORT


def closing(result: PairsResult) -> str:
    """What a person reads at the end: how many pairs, why the others were dropped, what it cost."""
    session = result.session
    cost = "cost unknown" if session.cost is None else f"${session.cost:.4f}"
    lines = [
        f"{result.written.pairs} pairs, {result.written.dropped_pairs} dropped",
        *(f"  {source}: {reason.replace('_', ' ')} {count}" for (source, reason), count in result.dropped.items()),
        f"{session.requests} requests, {session.cache_hits} replies from the cache, {cost}, {session.seconds:.1f} s",
        *(f"  {line}" for line in result.written.lines()),
    ]
    return "\n".join(lines)


def _as_json(run: Path, result: PairsResult) -> dict[str, Any]:
    return {
        "folder": str(run),
        "pairs": result.written.pairs,
        "dropped": [{"source": source, "reason": reason, "count": count} for (source, reason), count in result.dropped.items()],
        "requests": result.session.requests,
        "cache_hits": result.session.cache_hits,
        "cost": result.session.cost,
        "files": result.written.files,
    }
