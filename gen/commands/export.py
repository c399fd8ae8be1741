"""`sluice export`: a run's files again, from its ledger, with no call to any model."""

from __future__ import annotations

import json
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from gen.approval import require_approval
from gen.card import UsageRight
from gen.errors import InputError, RecipeError
from gen.lab import write_lab
from gen.outputs import write_all
from gen.parts import Parts, build_parts
from gen.recipe import Recipe, load, parse
from gen.run_folder import exclusive, kept_sources, open_ledger
from gen.types import Sources


def command(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The run's folder.")],
    recipe_file: Annotated[Path | None, typer.Option("--recipe", help="Take `export` and `card` from this recipe instead.")] = None,
    formats: Annotated[str, typer.Option(help="Write these formats instead, names separated by commas.")] = "",
    lab: Annotated[bool, typer.Option("--lab", help="Write a course's package too: instruction and output, with its papers.")] = False,
    out: Annotated[Path | None, typer.Option(help="The package's folder; RUN/lab when left out.")] = None,
    approval: Annotated[UsageRight | None, typer.Option("--require-approval", help="Refuse unless the card allows this use.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead.")] = False,
) -> None:
    """Write a run's files again: formats, splits, papers. No model is asked; the locked test split stays as it is."""
    if out is not None and not lab:
        raise InputError(f"--out {out} is the folder of --lab; a run's files stay in the run's folder")
    ledger = open_ledger(run)
    with exclusive(run), closing(ledger):
        recipe = _recipe(run, ledger.fact("recipe"), recipe_file)
        if approval is not None:
            require_approval(recipe.config.card, approval, run, today=datetime.now(UTC).date())
        if formats:
            recipe = _with_formats(recipe, [name.strip() for name in formats.split(",") if name.strip()])
        parts = _parts(recipe, kept_sources(ledger), stored=recipe_file is None)
        written = write_all(ledger, recipe, parts, run, lock_test=False)
        package = write_lab(ledger, recipe, parts, out or run / "lab") if lab else None
    if as_json:
        made = {"lab": str(package.folder), "lab_rows": package.rows, "lab_left_out": len(package.skipped)} if package else {}
        print(json.dumps({"folder": str(run), "files": written.files} | made))
    else:
        print("\n".join([*written.lines(), *([package.line()] if package else [])]))


def _parts(recipe: Recipe, sources: Sources | None, *, stored: bool) -> Parts:
    try:
        return build_parts(recipe, sources)
    except RecipeError as error:
        if stored and error.key.startswith("export.pack"):  # its files lie beside the recipe that was run, which this copy is not
            raise InputError(f"{error}; if its files lie beside the recipe, name that with --recipe") from error
        raise


def _recipe(run: Path, text: str | None, file: Path | None) -> Recipe:
    if text is None:
        raise InputError(f"{run} has not been run yet: it knows no recipe")
    stored = parse(text, run / "recipe.yaml")
    if file is None:
        return stored
    given = load(file)
    config = stored.config.model_copy(update={"export": given.config.export, "card": given.config.card})
    return Recipe(config=config, file=given.file, text=stored.text, lines=given.lines)


def _with_formats(recipe: Recipe, formats: list[str]) -> Recipe:
    export = recipe.config.export.model_copy(update={"formats": tuple(formats)})
    return Recipe(recipe.config.model_copy(update={"export": export}), recipe.file, recipe.text, recipe.lines)
