"""The configs that a recipe asks for, checked before anything is paid and written beside the data."""

from __future__ import annotations

import importlib
from collections.abc import Container, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gen.files import write_text
from gen.plugins import suggest
from gen.recipe import ExportLine, Recipe
from gen.record import Export
from gen.trainers.setup import CONTAINERS, FOLDER, Configs, Setup

TRAINERS = ("axolotl", "llama_factory", "trl", "unsloth")
DEFAULT_MAX_LENGTH = 2048  # tokens of a sample, where the recipe packs none: that of the packed set's rows otherwise
_LONGEST_NAME = 300  # characters


@dataclass(frozen=True, slots=True)
class TrainerConfigs:
    """What was written for a trainer: its files relative to the run's folder and the commands that start it there, or why nothing was."""

    name: str
    files: tuple[str, ...]
    commands: tuple[str, ...]
    problem: str = ""

    def line(self) -> str:
        """For people: how to start it, or what is wrong."""
        if self.problem:
            return f"{FOLDER}/{self.name}: not written: {self.problem}"
        return f"{FOLDER}/{self.name}: {self.commands[0]}"


def check_trainers(recipe: Recipe) -> None:
    """Raise RecipeError with the recipe's line for an unknown trainer, files that none reads, and where nobody says what is trained."""
    line = recipe.config.export
    for place, name in enumerate(line.trainers):
        if name not in TRAINERS:
            raise recipe.error(("export", "trainers", place), f"unknown trainer '{name}': {suggest(name, list(TRAINERS))}")
    if line.trainers and line.container not in CONTAINERS:
        raise recipe.error(("export", "container"), f"trainers read {', '.join(CONTAINERS)}; got '{line.container}'")
    if line.trainers and not model_of(line):
        problem = "nothing says which model is trained: give export.base_model, a name on the Hub or a folder (--model on the command line)"
        raise recipe.error(("export", "trainers"), problem)
    if len(line.base_model) > _LONGEST_NAME or not line.base_model.isprintable():
        problem = f"a model's name or folder is at most {_LONGEST_NAME} printable characters, got {line.base_model[:60]!r}"
        raise recipe.error(("export", "base_model"), problem)


def model_of(line: ExportLine) -> str:
    """The model to be trained: `base_model`, else the one whose tokenizer the packed set is made for; empty where neither is said."""
    packed = (line.pack or {}).get("tokenizer", "shipped")
    return line.base_model or (packed if isinstance(packed, str) and packed != "shipped" else "")


def formats_for(line: ExportLine) -> tuple[str, ...]:
    """The formats to write: those of the recipe, and where a trainer reads none of them, the one that it reads; its pairs too."""
    formats = list(line.formats)
    for name in line.trainers:
        trainer = _trainer(name)
        if not set(trainer.FORMATS) & set(formats):
            formats.append(trainer.FORMATS[-1])
        if trainer.PAIRS not in ("", "preference", *formats):  # `preference` is written whenever there are pairs
            formats.append(trainer.PAIRS)
    return tuple(formats)


def write_trainers(folder: Path, recipe: Recipe, exports: Sequence[Export]) -> tuple[TrainerConfigs, ...]:
    """Write `trainers/NAME/` for every trainer of the recipe and remove what an earlier export wrote for others.

    Raises StorageError when a file cannot be written.
    """
    line = recipe.config.export
    length = (line.pack or {}).get("max_length", DEFAULT_MAX_LENGTH)
    setup = Setup(folder, {one.format: one for one in exports}, model_of(line), recipe.config.seed, length)
    for name in set(TRAINERS) - set(line.trainers):
        _remove(folder, name, ())
    return tuple(_written(folder, name, _trainer(name).configs(setup)) for name in line.trainers)


def _written(folder: Path, name: str, made: Configs) -> TrainerConfigs:
    for file, text in made.files.items():
        write_text(folder / FOLDER / name / file, text)
    _remove(folder, name, made.files)
    return TrainerConfigs(name, tuple(f"{FOLDER}/{name}/{file}" for file in made.files), made.commands, made.problem)


def _remove(folder: Path, name: str, keep: Container[str]) -> None:
    """Our files of an earlier export; what somebody put beside them stays."""
    home = folder / FOLDER / name
    for file in _trainer(name).FILES:
        if file not in keep:
            (home / file).unlink(missing_ok=True)
    for place in (home, home.parent):
        with suppress(OSError):
            place.rmdir()


def _trainer(name: str) -> Any:
    return importlib.import_module(f"gen.trainers.{name}")
