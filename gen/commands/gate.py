"""`sluice gate`: any dataset through the gates."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from gen import plugins
from gen.commands.gate_progress import gating_bar
from gen.errors import InputError, RecipeError
from gen.gating.dataset import gate_files
from gen.gating.outputs import GateCounts
from gen.parts import build_parts
from gen.pipeline import NamedGate
from gen.recipe import DEFAULT_GATES, load
from gen.records import reading_of

EXIT_DONE, EXIT_UNREADABLE_LINES, EXIT_INTERRUPTED = 0, 1, 130


def command(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE...", help="Any data sets: JSON Lines, JSON, Parquet, CSV, a saved folder, hub:owner/name."),
    ],
    out: Annotated[Path, typer.Option(help="The folder for accepted.jsonl, rejected.jsonl, unreadable.jsonl and warnings.jsonl.")],
    recipe: Annotated[Path | None, typer.Option(help="Take the gates of this recipe.")] = None,
    gates: Annotated[str, typer.Option(help="Take these gates, names separated by commas, with their defaults.")] = "",
    without: Annotated[str, typer.Option(help="Leave these gates out, names separated by commas.")] = "",
    language: Annotated[str, typer.Option(help="The language that the language gate wants.")] = "en",
    layout: Annotated[str, typer.Option(help="Read the records as this layout, where their keys do not tell.")] = "",
    columns: Annotated[str, typer.Option(help="What columns mean: prompt=question,completion=answer.")] = "",
    keep: Annotated[str, typer.Option(help="Who stays of a family of duplicates: first, longest or score:FIELD.")] = "first",
    processes: Annotated[
        int | None, typer.Option(min=1, help="Worker processes; by default one for each core where the input is large.")
    ] = None,
    restart: Annotated[bool, typer.Option("--restart", help="Begin anew where an unfinished gating lies in the folder.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead.")] = False,
) -> int:
    """Put any data sets through the gates, together. By default the whole offline chain runs, and duplicates are told by the user's turn.

    Run it again to go on after an interruption. Exit status: 0 though records were rejected, 1 if lines were unreadable, 2 if a file was,
    130 interrupted.
    """
    if recipe is not None and gates:
        raise InputError("give --recipe or --gates, not both")
    chain = _of_recipe(recipe) if recipe is not None else _named(_split(gates) or list(DEFAULT_GATES), language)
    chain = _without(chain, _split(without))
    reading = reading_of(layout, columns)
    try:
        with gating_bar(show=not quiet and not as_json) as bar:
            counts = gate_files(files, out, chain, reading=reading, keep=keep, processes=processes, restart=restart, progress=bar)
    except KeyboardInterrupt:
        print("sluice: interrupted; the same command goes on from there", file=sys.stderr)
        return EXIT_INTERRUPTED
    print(json.dumps(_as_json(counts, out)) if as_json else _closing(counts, out, files))
    return EXIT_UNREADABLE_LINES if counts.unreadable else EXIT_DONE


def _named(names: list[str], language: str) -> list[NamedGate]:
    for name in names:
        plugins.find("gates", name)
    return [NamedGate(name, _with_defaults(name, {"language": language} if name == "language" else {})) for name in names]


def _with_defaults(name: str, options: Mapping[str, Any]) -> Any:
    try:
        return plugins.build("gates", name, options)
    except RecipeError as error:
        about = "" if f"gate '{name}'" in error.message else f"gate '{name}': "
        advice = "" if options else "; options are given in a recipe, by --recipe"
        raise InputError(f"{about}{error.message}{advice}") from error


def _of_recipe(file: Path) -> list[NamedGate]:
    gates = list(build_parts(load(file)).gates)
    idle = [one for one in gates if one.scores or getattr(one.gate, "asks_a_service", False)]
    if idle:
        names = ", ".join(one.name for one in idle)
        print(f"sluice: left out, since no judge and no other service is asked here: {names}", file=sys.stderr)
    return [one for one in gates if one not in idle]


def _without(gates: list[NamedGate], names: list[str]) -> list[NamedGate]:
    known = [one.name for one in gates]
    for name in names:
        if name not in known:
            raise InputError(f"--without {name}: {plugins.suggest(name, known)}")
    return [one for one in gates if one.name not in names]


def _split(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _closing(counts: GateCounts, out: Path, files: Sequence[Path]) -> str:
    read = f" from {len(files)} files" if len(files) > 1 else ""
    lines = [f"{counts.records} records{read}: {counts.accepted} accepted, {counts.rejected} rejected, {counts.unreadable} unreadable"]
    lines += [f"  {count:>7}  {reason}" for reason, count in counts.reasons.most_common()]
    if counts.replaced:
        lines.append(f"  {counts.replaced} accepted with replacements")
    if counts.warned:
        why = ", ".join(f"{reason} {count}" for reason, count in counts.warnings.most_common())
        lines.append(f"  {counts.warned} with warnings ({why}): {out / 'warnings.jsonl'}")
    if counts.unreadable:
        shown = ", ".join(map(str, counts.unreadable_lines[:10])) + (" …" if counts.unreadable > 10 else "")
        why = ", ".join(f"{reason} {count}" for reason, count in counts.unreadable_reasons.most_common())
        lines.append(f"  unreadable lines: {shown} ({why}); all of them in {out / 'unreadable.jsonl'}")
    lines.append(f"wrote {out / 'accepted.jsonl'} and {out / 'rejected.jsonl'}")
    return "\n".join(lines)


def _as_json(counts: GateCounts, out: Path) -> dict[str, Any]:
    return {
        "out": str(out),
        "records": counts.records,
        "accepted": counts.accepted,
        "rejected": counts.rejected,
        "unreadable": counts.unreadable,
        "replaced": counts.replaced,
        "reasons": dict(counts.reasons.most_common()),
        "warned": counts.warned,
        "warnings": dict(counts.warnings.most_common()),
        "unreadable_reasons": dict(counts.unreadable_reasons.most_common()),
        "unreadable_lines": counts.unreadable_lines,
    }
