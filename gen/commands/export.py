"""`sluice export`: a run's files again, from its ledger, with no call to any model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from gen.errors import InputError
from gen.outputs import write_all
from gen.parts import build_parts
from gen.recipe import Recipe, load, parse
from gen.run_folder import exclusive, kept_sources, open_ledger


def command(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The run's folder.")],
    recipe_file: Annotated[Path | None, typer.Option("--recipe", help="Take `export` and `card` from this recipe instead.")] = None,
    formats: Annotated[str, typer.Option(help="Write these formats instead, names separated by commas.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead.")] = False,
) -> None:
    """Write a run's files again: formats, splits, papers. No model is asked; the locked test split stays as it is."""
    with exclusive(_existing(run)):
        ledger = open_ledger(run)
        try:
            recipe = _recipe(run, ledger.fact("recipe"), recipe_file)
            if formats:
                recipe = _with_formats(recipe, [name.strip() for name in formats.split(",") if name.strip()])
            parts = build_parts(recipe, kept_sources(ledger))
            written = write_all(ledger, recipe, parts, run, lock_test=False)
        finally:
            ledger.close()
    print(json.dumps({"folder": str(run), "files": written.files}) if as_json else "\n".join(written.lines()))


def _existing(run: Path) -> Path:
    if not run.is_dir():
        raise InputError(f"no such run folder: {run}")
    return run


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
