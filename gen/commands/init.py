"""`sluice init`: a commented recipe to start from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gen.errors import InputError
from gen.files import write_text
from gen.resources import resource


def command(
    folder: Annotated[Path, typer.Argument(help="Where to put it; made when it does not exist.", metavar="[DIR]")] = Path(),
    force: Annotated[bool, typer.Option("--force", help="Overwrite a recipe.yaml that is there.")] = False,
) -> None:
    """Write a commented recipe to start from.

    It runs as it is, on the simulator, with no key: `sluice run recipe.yaml`.
    """
    if folder.is_file():
        raise InputError(f"{folder} is a file: name a folder, and recipe.yaml is written in it")
    target = folder / "recipe.yaml"
    if target.exists() and not force:
        raise InputError(f"{target} exists: take another folder, or --force to overwrite it")
    write_text(target, resource("data", "recipe_template.yaml").read_text(encoding="utf-8"))
    print(f"wrote {target}\nnext: sluice check {_quoted(target)}, then sluice run {_quoted(target)}")


def _quoted(path: Path) -> str:
    text = str(path)
    return f'"{text}"' if " " in text else text
