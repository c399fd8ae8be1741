"""`sluice export`: a run's files again, from its ledger, with no call to any model; and any dataset in another format."""

from __future__ import annotations

import importlib
import json
from contextlib import closing
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from gen import plugins
from gen.against import Held, read_held
from gen.approval import refuse_without_card, require_approval
from gen.card import UsageRight
from gen.containers import is_dataset, is_hub, split_files, stem_of
from gen.containers.shards import is_sharded
from gen.convert import Converted, convert
from gen.errors import InputError, RecipeError
from gen.formats import formats
from gen.lab import write_lab
from gen.leak_check import refuse_touching
from gen.outputs import write_all
from gen.parts import Parts, build_parts
from gen.recipe import SPLITS, Recipe, load, parse
from gen.records import Reading, reading_of
from gen.run_folder import exclusive, kept_sources, open_ledger
from gen.splits import LOCKED_SPLIT
from gen.types import Sources

EXIT_DONE, EXIT_UNREADABLE_LINES = 0, 1
Container = Literal["jsonl", "json", "parquet", "csv", "arrow"]


def command(
    target: Annotated[Path, typer.Argument(metavar="RUN|FILE", help="A run's folder; any dataset, a folder of splits or hub:owner/name.")],
    recipe_file: Annotated[Path | None, typer.Option("--recipe", help="Take `export` and `card` from this recipe instead.")] = None,
    formats: Annotated[str, typer.Option("--formats", "--to", help="Write these formats instead, names separated by commas.")] = "",
    container: Annotated[Container | None, typer.Option(help="The files' container; the recipe's when left out, else jsonl.")] = None,
    layout: Annotated[str, typer.Option(help="Read a dataset's records as this layout, where their keys do not tell.")] = "",
    columns: Annotated[str, typer.Option(help="What a dataset's columns mean: prompt=question,completion=answer.")] = "",
    max_words: Annotated[int | None, typer.Option(min=1, help="Of `documents`: words in a chunk; 1000.")] = None,
    max_tokens: Annotated[int | None, typer.Option(min=1, help="Of `documents`: estimated tokens in a chunk, instead of words.")] = None,
    overlap: Annotated[int | None, typer.Option(min=0, help="Of `documents`: what a chunk repeats of the one before; 0.")] = None,
    against: Annotated[
        list[Path] | None, typer.Option(help="Fail where training or validation is nearly in this file, a test set of your own.")
    ] = None,
    trainer: Annotated[str, typer.Option(help="Write configs for axolotl, llama_factory, trl, unsloth: names separated by commas.")] = "",
    model: Annotated[str, typer.Option(help="The model that these train: a name on the Hub or a folder.")] = "",
    lab: Annotated[bool, typer.Option("--lab", help="Write a course's package too: instruction and output, with its papers.")] = False,
    out: Annotated[Path | None, typer.Option(help="The folder for a dataset; the package's, RUN/lab when left out.")] = None,
    push: Annotated[str, typer.Option(help="Push a run's training sets to this dataset on the Hub: owner/name.")] = "",
    private: Annotated[bool, typer.Option("--private/--public", help="Whether a dataset that --push makes is private.")] = True,
    approval: Annotated[UsageRight | None, typer.Option("--require-approval", help="Refuse unless the card allows this use.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead.")] = False,
) -> int:
    """Write a run's files again: formats, splits, papers. No model is asked; the locked test split stays as it is. Or write any dataset in
    another format to --out.

    Exit status: 0 though records did not fit the format, 1 if some of a dataset's were unreadable or what is tested on would be learnt, 2
    for wrong input.
    """
    names = _names(formats)
    chunking = {"max_words": max_words, "max_tokens": max_tokens, "overlap": overlap}
    options = {name: value for name, value in chunking.items() if value is not None}
    if options and "documents" not in names:
        raise InputError(f"--{next(iter(options)).replace('_', '-')} is for documents: add --formats documents")
    if not _is_run(target):
        for given, option in ((recipe_file, "--recipe"), (lab, "--lab"), (push, "--push"), (trainer, "--trainer"), (model, "--model")):
            if given:
                raise InputError(f"{option} is for a run's folder, and {target} is none")
        if approval is not None:
            refuse_without_card(target, approval)
        reading, held = reading_of(layout, columns), [read_held(file) for file in against or ()]
        return _convert(target, names, out, container or "jsonl", reading, options, held, as_json=as_json)
    if target.is_dir() and not (target / "run.db").exists():
        splits = ", ".join(f"{split}.jsonl" for split in SPLITS)
        raise InputError(f"{target} is neither a run's folder (no run.db) nor one of splits ({splits} or another container): name a file")
    if layout or columns:
        raise InputError("--layout and --columns are for datasets; a run's samples are known")
    if out is not None and not lab:
        raise InputError(f"--out {out} is the folder of --lab; a run's files stay in the run's folder")
    if not private and not push:
        raise InputError("--public is of a dataset that is pushed: add --push owner/name")
    publishing = importlib.import_module("gen.publish") if push else None
    if publishing:
        publishing.check_push(push)
    ledger = open_ledger(target)
    with exclusive(target), closing(ledger):
        recipe = _recipe(target, ledger.fact("recipe"), recipe_file)
        if approval is not None:
            require_approval(recipe.config.card, approval, target, today=datetime.now(UTC).date())
        recipe = _with_export(recipe, names, container, _names(trainer), model, against or [])
        if model and not recipe.config.export.trainers:
            raise InputError("--model is what configs are written for: add --trainer, or export.trainers to the recipe")
        parts = _parts(recipe, kept_sources(ledger), stored=recipe_file is None)
        if options:
            parts = replace(parts, exporters={**parts.exporters, "documents": _exporter("documents", options)})
        written = write_all(ledger, recipe, parts, target, lock_test=False)
        package = write_lab(ledger, recipe, parts, out or target / "lab") if lab else None
    pushed = publishing.publish(target, written.exports, push, private=private) if publishing else None
    if as_json:
        made = {"lab": str(package.folder), "lab_rows": package.rows, "lab_left_out": len(package.skipped)} if package else {}
        print(json.dumps({"folder": str(target), "files": written.files} | made | ({"pushed": asdict(pushed)} if pushed else {})))
    else:
        print("\n".join([*written.lines(), *([package.line()] if package else []), *([_told(pushed)] if pushed else [])]))
    return EXIT_DONE


def _is_run(target: Path) -> bool:
    """Whether the target is meant as a run: a folder that is neither a saved dataset nor one of splits."""
    return not is_dataset(target) and ((target / "run.db").exists() or not split_files(target, SPLITS))


def _convert(
    target: Path,
    names: list[str],
    out: Path | None,
    container: Container,
    reading: Reading,
    options: dict[str, Any],
    held: list[Held],
    *,
    as_json: bool,
) -> int:
    if not is_hub(target) and not is_sharded(target) and not target.exists():
        raise InputError(f"no such run folder or file: {target}")
    if len(names) != 1:
        raise InputError(f"a dataset is written in one format at a time: give one with --to, got {', '.join(names) or 'none'}")
    if out is None:
        raise InputError(f"{target} is no run: name the folder to write to with --out")
    exporter = _exporter(names[0], options)
    sources = [(stem_of(target), target)] if is_dataset(target) else split_files(target, SPLITS)
    for name, file in sources:
        if is_dataset(target) or name != LOCKED_SPLIT:
            refuse_touching(file, reading, held)
    done = [convert(file, out / name if len(sources) > 1 else out, name, names[0], exporter, container, reading) for name, file in sources]
    if as_json:
        print(json.dumps([_as_json(one) for one in done] if len(done) > 1 else _as_json(done[0]), ensure_ascii=False))
    else:
        print("\n".join(line for one in done for line in one.lines()))
    return EXIT_UNREADABLE_LINES if any(one.unreadable for one in done) else EXIT_DONE


def _as_json(done: Converted) -> dict[str, Any]:
    return asdict(done) | {"file": str(done.file), "left_out": dict(done.left_out), "unreadable": dict(done.unreadable)}


def _exporter(name: str, options: dict[str, Any]) -> Any:
    known = list(formats())
    if name not in known:
        raise InputError(f"unknown format '{name}': {plugins.suggest(name, known)}")
    try:
        return plugins.build("exporters", name, options)
    except RecipeError as error:
        raise InputError(str(error)) from error


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


def _names(listed: str) -> list[str]:
    return list(dict.fromkeys(name.strip() for name in listed.split(",") if name.strip()))


def _with_export(
    recipe: Recipe, formats: list[str], container: Container | None, trainers: list[str], model: str, against: list[Path]
) -> Recipe:
    files = tuple(str(path if is_hub(path) else path.resolve()) for path in against)
    wishes = {"formats": tuple(formats), "container": container, "trainers": tuple(trainers), "base_model": model, "against": files}
    changed = {key: value for key, value in wishes.items() if value}
    if not changed:
        return recipe
    export = recipe.config.export.model_copy(update=changed)
    return Recipe(recipe.config.model_copy(update={"export": export}), recipe.file, recipe.text, recipe.lines)


def _told(pushed: Any) -> str:
    seen = "private" if pushed.private else "public"
    gone = f"; removed there: {', '.join(pushed.removed)}" if pushed.removed else ""
    return f"pushed to {pushed.url} ({seen}): {', '.join(pushed.files)}{gone}"
