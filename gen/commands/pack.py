"""`sluice pack`: samples as a trainer's forward pass takes them: templated, masked, packed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console

from gen import plugins
from gen.against import Held, read_held
from gen.approval import card_of, refuse_without_card, require_approval
from gen.card import UsageRight
from gen.containers import is_dataset, is_hub, stem_of
from gen.containers.shards import is_sharded
from gen.errors import InputError, RecipeError
from gen.exporters.packed import CHECK_PAGE, MAX_CHECKED, SHOWN_ON_PAGE, Packed, PackedSet
from gen.figures.wording import many
from gen.files import write_jsonl
from gen.leak_check import held_files, refuse_leaks, refuse_touching
from gen.ledger import Ledger, read_only
from gen.pack_options import DEFAULT_MAX_LENGTH, packing_options
from gen.pack_source import EVERY_SPLIT, DatasetFile, UnreadableLines, run_samples
from gen.pack_summary import ending, summary, told_unreadable
from gen.recipe import parse
from gen.records import Reading, reading_of
from gen.run_folder import exclusive, open_ledger
from gen.splits import LOCKED_SPLIT
from gen.templates.curriculum import Order
from gen.templates.encoded_set import OverLong
from gen.templates.item_encoder import Item
from gen.templates.packed_set import Layout
from gen.templates.templating import SpecialTokens, TrainOn
from gen.templates.terminal_look import LEGEND, look
from gen.types import Sample

EXIT_DONE, EXIT_UNREADABLE_LINES = 0, 1
SHOWN, MAX_SHOWN = 3, 50  # samples in the terminal: what fits one screen or two, and what the page shows by default


@dataclass(frozen=True, slots=True)
class _Source:
    """What is packed: `out` is where its set belongs unless told otherwise, `held` what it was checked against."""

    title: str
    samples: Callable[[], Iterable[Item]]
    out: Path
    held: tuple[Held, ...] = ()
    unreadable: UnreadableLines | None = None

    @property
    def unreadable_lines(self) -> list[int]:
        return self.unreadable.lines.tolist() if self.unreadable else []


def command(
    target: Annotated[Path, typer.Argument(metavar="RUN|FILE", help="A run's folder, any dataset, or hub:owner/name.")],
    tokenizer: Annotated[str, typer.Option(help="A name on the Hub, a folder, or `shipped`: that of the model to be trained.")],
    max_length: Annotated[int, typer.Option(min=2, help="Tokens in a row. A longer sample is left out, never cut.")] = DEFAULT_MAX_LENGTH,
    out: Annotated[Path | None, typer.Option(help="The set's folder; RUN/packed or FILE-packed when left out.")] = None,
    split: Annotated[
        Literal["train", "validation", "test", "all"] | None, typer.Option(help="Which split of a run; train when left out.")
    ] = None,
    chat_template: Annotated[str | None, typer.Option(help="chatml, llama3, alpaca or a Jinja file, instead of its own.")] = None,
    template_option: Annotated[list[str] | None, typer.Option(help="NAME=VALUE for the template, repeatable.")] = None,
    train_on: Annotated[TrainOn, typer.Option(help="Learn every answer of a conversation, or its last.")] = "all",
    special_tokens: Annotated[SpecialTokens, typer.Option(help="A control token in a text: keep it as text, or leave it out.")] = "as_text",
    layout: Annotated[Layout, typer.Option(help="Packed rows; padded to full length; or one example a row.")] = "packed",
    over_long: Annotated[OverLong, typer.Option(help="A conversation longer than a row: leave it out, or split it by exchanges.")] = "drop",
    order: Annotated[
        Order, typer.Option(help="Rows shuffled, or from low to high by length, difficulty (tags) or evolution depth.")
    ] = "shuffle",
    records: Annotated[str, typer.Option("--records", help="Read a file's records as this layout, where their keys do not tell.")] = "",
    columns: Annotated[str, typer.Option(help="What a file's columns mean: prompt=question,completion=answer.")] = "",
    seed: Annotated[int, typer.Option(help="Orders the rows, and draws the samples to check.")] = 0,
    day: Annotated[datetime | None, typer.Option("--date", formats=["%Y-%m-%d"], help="Today, for templates that ask.")] = None,
    remember: Annotated[
        bool, typer.Option("--remember/--no-remember", help="Look known pre-tokens up; or have the tokenizer encode every text itself.")
    ] = True,
    check: Annotated[int, typer.Option(min=0, max=MAX_CHECKED, help="Samples in template-check.html; 0 writes none.")] = SHOWN_ON_PAGE,
    show: Annotated[int, typer.Option(min=0, max=MAX_SHOWN, help="How many of these the terminal shows.")] = SHOWN,
    against: Annotated[
        list[Path] | None, typer.Option(help="Fail where what is packed is nearly in this file, a test set of your own.")
    ] = None,
    approval: Annotated[UsageRight | None, typer.Option("--require-approval", help="Refuse unless the card allows this use.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead.")] = False,
) -> int:
    """Apply a chat template, prove the loss mask and pack a run's samples, or any dataset's, into full rows for a trainer.

    Exit status: 0 though samples were left out with a reason, 1 if lines of a file were unreadable or what is tested on would be learnt, 2
    for wrong input.
    """
    options: dict[str, Any] = {
        "tokenizer": tokenizer,
        "max_length": max_length,
        "chat_template": chat_template,
        "template_options": _template_options(template_option or []),
        "train_on": train_on,
        "special_tokens": special_tokens,
        "layout": layout,
        "over_long": over_long,
        "order": order,
        "seed": seed,
        "day": day.date() if day else None,
        "remember": remember,
        "check": check,
    }
    exporter = _exporter(options)
    elsewhere = out is not None and not out.resolve().is_relative_to(target.resolve())
    with _source(target, split, approval, reading_of(records, columns), against or [], elsewhere=elsewhere) as source:
        folder = out or source.out
        made = _write(exporter, source, folder)
        if source.unreadable and source.unreadable.lines:
            write_jsonl(folder / "unreadable.jsonl", source.unreadable.rows)
        if as_json:
            print(json.dumps(_as_json(made, source, folder), ensure_ascii=False))
        else:
            _tell(made, source, folder, tokenizer, show)
        return EXIT_UNREADABLE_LINES if source.unreadable_lines else EXIT_DONE


@contextmanager
def _source(
    target: Path, split: str | None, approval: UsageRight | None, reading: Reading, against: Sequence[Path], *, elsewhere: bool
) -> Iterator[_Source]:
    """The samples to pack; a run's folder is held as long as they are read and the set is written, unless nobody can write in it."""
    if is_dataset(target):
        if not is_hub(target) and not is_sharded(target) and not target.exists():
            raise InputError(f"no such run folder or file: {target}")
        if split is not None:
            raise InputError(f"--split {split}: only a run has splits, {target} is a file")
        if approval is not None:
            refuse_without_card(target, approval)
        held = tuple(read_held(file) for file in against)
        refuse_touching(target, reading, held)
        folder = Path() if is_hub(target) else target.parent
        with closing(DatasetFile(target, reading)) as file:
            yield _Source(str(target), file.samples, folder / f"{stem_of(target)}-packed", held, file.unreadable)
        return
    chosen = split or "train"
    ledger = open_ledger(target, to_read=elsewhere)
    with nullcontext() if read_only(target) else exclusive(target), closing(ledger):
        if approval is not None:
            require_approval(card_of(ledger, target), approval, target, today=_today())
        samples = run_samples(ledger, target, chosen)
        held = _kept_apart(ledger, target, samples, chosen, against)
        which = "all splits, the test split too" if chosen == EVERY_SPLIT else f"the split {chosen}"
        yield _Source(f"{target}, {which}", lambda: samples, target / "packed", held)


def _kept_apart(ledger: Ledger, run: Path, samples: Sequence[Sample], split: str, against: Sequence[Path]) -> tuple[Held, ...]:
    """The files that training must not touch, those of the run's recipe unless others are named, once none of them is touched. A test split
    is not learnt, so it may be in them."""
    if split == LOCKED_SPLIT:
        return ()
    recipe = parse(ledger.fact("recipe"), run / "recipe.yaml")
    try:
        held = tuple(read_held(file) for file in against) or held_files(recipe)
    except RecipeError as error:  # it lies beside the recipe that was run, which this copy is not
        raise InputError(f"{error}; if it lies elsewhere, name it with --against") from error
    refuse_leaks(recipe, held, samples, (), dict.fromkeys((sample.id for sample in samples), "train"), 0)
    return held


def _exporter(options: dict[str, Any]) -> Packed:
    try:
        exporter: Packed = plugins.build("exporters", "packed", packing_options(options, Path()))
    except RecipeError as error:
        raise InputError(error.message) from error
    return exporter


def _write(exporter: Packed, source: _Source, folder: Path) -> PackedSet:
    try:
        return exporter.packed(source.samples(), folder)
    except InputError as error:
        if source.unreadable and source.unreadable.lines:
            raise InputError(f"{error}; {told_unreadable(source.unreadable)}") from error
        raise


def _template_options(given: list[str]) -> dict[str, Any]:
    """`enable_thinking=false` as a variable of the template: a JSON value where it is one, else a text."""
    options: dict[str, Any] = {}
    for item in given:
        name, equals, value = item.partition("=")
        if not equals or not name.isidentifier():
            raise InputError(f"--template-option {item[:80]}: write NAME=VALUE, such as enable_thinking=false")
        try:
            options[name] = json.loads(value)
        except ValueError:
            options[name] = value
    return options


def _tell(made: PackedSet, source: _Source, folder: Path, tokenizer: str, show: int) -> None:
    console = Console(highlight=False, markup=False, emoji=False)
    lines = list(summary(made.report, source.title, folder, tokenizer))
    lines += [f"  against     nothing of the {many(len(one.prompts), 'prompt')} of {one.file} is in it" for one in source.held]
    console.print("\n".join(lines), soft_wrap=True)
    if shown := made.checked[:: max(1, len(made.checked) // show)][:show] if show else ():
        console.print(f"{len(shown)} of {many(made.report.samples, 'sample')} as they lie in the set: {LEGEND}", soft_wrap=True)
        width = console.width if console.is_terminal else 0
        for one in look(shown, width):
            console.print(one, soft_wrap=not width)
    console.print("\n".join(ending(folder, made.report.checked, source.unreadable)), soft_wrap=True)


def _as_json(made: PackedSet, source: _Source, folder: Path) -> dict[str, Any]:
    lines = source.unreadable_lines
    return {
        "out": str(folder),
        **asdict(made.report),
        "unreadable": len(lines),
        "unreadable_lines": lines,
        "against": [one.file for one in source.held],
        "template_check": str(folder / CHECK_PAGE) if made.checked else None,
    }


def _today() -> date:
    return datetime.now(UTC).date()
