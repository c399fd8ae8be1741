"""`sluice pack`: samples as a trainer's forward pass takes them: templated, masked, packed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager, nullcontext
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console
from rich.text import Text

from gen import plugins
from gen.approval import card_of, refuse_without_card, require_approval
from gen.card import UsageRight
from gen.containers import is_dataset, is_hub, stem_of
from gen.errors import InputError, RecipeError
from gen.exporters.packed import OverLong, Packed, PackReport
from gen.figures.wording import many
from gen.files import write_jsonl, write_text
from gen.ledger import read_only
from gen.markup import visible
from gen.pack_options import DEFAULT_MAX_LENGTH, SHIPPED_TOKENIZER, packing_options, tokenizer_title
from gen.pack_source import EVERY_SPLIT, DatasetFile, run_samples
from gen.records import Reading, Unreadable, reading_of
from gen.run_folder import exclusive, open_ledger
from gen.templates.curriculum import Order
from gen.templates.packed_look import LEGEND, first_row, look
from gen.templates.packed_set import Layout
from gen.templates.template_check import check_page, template_check
from gen.templates.templating import SpecialTokens, Templating, TrainOn, open_templating
from gen.types import Sample

EXIT_DONE, EXIT_UNREADABLE_LINES = 0, 1
MAX_CHECKED = 1000  # samples on one page: a browser shows them at once
_LINES_NAMED = 10

Samples = Callable[[], Iterable[Sample]]


@dataclass(frozen=True, slots=True)
class _Source:
    """What is packed: `samples` may be gone through again; `out` is where its set belongs unless told otherwise."""

    title: str
    samples: Samples
    out: Path
    file: DatasetFile | None = None

    @property
    def unreadable(self) -> list[Unreadable]:
        return self.file.unreadable if self.file else []


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
    check: Annotated[int, typer.Option(min=0, max=MAX_CHECKED, help="Write template-check.html with this many samples.")] = 0,
    approval: Annotated[UsageRight | None, typer.Option("--require-approval", help="Refuse unless the card allows this use.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead.")] = False,
) -> int:
    """Apply a chat template, prove the loss mask and pack a run's samples, or any dataset's, into full rows for a trainer.

    Exit status: 0 though samples were left out with a reason, 1 if lines of a file were unreadable, 2 for wrong input.
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
    }
    exporter = _exporter(options)
    with _source(
        target,
        split,
        approval,
        reading_of(records, columns),
        elsewhere=out is not None and not out.resolve().is_relative_to(target.resolve()),
    ) as source:
        folder = out or source.out
        report = _write(exporter, source, folder)
        if source.unreadable:
            write_jsonl(folder / "unreadable.jsonl", (asdict(line) for line in source.unreadable))
        templating = _templating(exporter)
        page = _write_page(folder, source, templating, check, seed) if check else None
    if as_json:
        print(json.dumps(_as_json(report, source, folder, page), ensure_ascii=False))
    else:
        console = Console(highlight=False, soft_wrap=True, markup=False, emoji=False)
        console.print("\n".join(_summary(report, source, folder, tokenizer)))
        console.print(_look(folder, report, templating))
        console.print("\n".join(_end(source, folder, page)))
    return EXIT_UNREADABLE_LINES if source.unreadable else EXIT_DONE


@contextmanager
def _source(target: Path, split: str | None, approval: UsageRight | None, reading: Reading, *, elsewhere: bool) -> Iterator[_Source]:
    """The samples to pack; a run's folder is held as long as they are read and the set is written, unless nobody can write in it."""
    if is_dataset(target):
        if not is_hub(target) and not target.exists():
            raise InputError(f"no such run folder or file: {target}")
        if split is not None:
            raise InputError(f"--split {split}: only a run has splits, {target} is a file")
        if approval is not None:
            refuse_without_card(target, approval)
        file = DatasetFile(target, reading)
        folder = Path() if is_hub(target) else target.parent
        yield _Source(str(target), file.samples, folder / f"{stem_of(target)}-packed", file)
        return
    chosen = split or "train"
    ledger = open_ledger(target, to_read=elsewhere)
    with nullcontext() if read_only(target) else exclusive(target), closing(ledger):
        if approval is not None:
            require_approval(card_of(ledger, target), approval, target, today=_today())
        samples = run_samples(ledger, target, chosen)
        which = "all splits, the test split too" if chosen == EVERY_SPLIT else f"the split {chosen}"
        yield _Source(f"{target}, {which}", lambda: samples, target / "packed")


def _exporter(options: dict[str, Any]) -> Packed:
    try:
        exporter: Packed = plugins.build("exporters", "packed", packing_options(options, Path()))
    except RecipeError as error:
        raise InputError(error.message) from error
    return exporter


def _write(exporter: Packed, source: _Source, folder: Path) -> PackReport:
    try:
        return exporter.write(source.samples(), folder)
    except InputError as error:
        if source.unreadable:
            raise InputError(f"{error}; {_unreadable(source.unreadable)}") from error
        raise


def _templating(exporter: Packed) -> Templating:
    return open_templating(
        exporter.tokenizer,
        chat_template=exporter.chat_template,
        train_on=exporter.train_on,
        special_tokens=exporter.special_tokens,
        day=exporter.day,
        options=exporter.template_options,
    )


def _write_page(folder: Path, source: _Source, templating: Templating, count: int, seed: int) -> Path:
    page = folder / "template-check.html"
    checked = template_check(source.samples(), templating, n=count, seed=seed)
    write_text(page, check_page(checked, f"Template check: {len(checked)} samples as {templating.tokenizer.name} sees them"))
    return page


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


def _summary(report: PackReport, source: _Source, folder: Path, tokenizer: str) -> Iterator[str]:
    yield f"{source.title}: {many(report.samples, 'sample')} in {many(report.rows, 'row')} of at most {report.max_length:,} tokens"
    yield f"  tokenizer   {tokenizer_title(tokenizer, report.tokenizer)} (sha256 {report.tokenizer_sha256[:12]}…)"
    trained = f"{report.trained_tokens:,} ({report.trained_tokens / report.tokens:.1%}) are trained on"
    yield f"  tokens      {report.tokens:,}, of which {trained}; the longest sample has {report.longest:,}"
    one_each = f"with one sample a row it would be {report.unpacked_efficiency:.1%}"
    yield f"  full        {report.efficiency:.1%} of all positions hold a token; {one_each}"
    yield f"  rows        {report.rows:,}; no packing needs fewer than {report.lower_bound:,}"
    if report.dropped:
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in report.dropped.items())
        yield f"  left out    {sum(report.dropped.values()):,}: {reasons}; each of them in {folder / 'dropped.jsonl'}"
    if report.split_samples:
        yield f"  split       {many(report.split_samples, 'sample')} longer than a row became {many(report.parts, 'part')}"
    if report.order != "shuffle":
        unknown = f"; {many(report.order_unknown, 'sample')} without" if report.order_unknown else ""
        yield f"  order       rows from low to high by {report.order}{unknown}"
    if report.added_text:
        told = " ".join(visible(report.added_text).split())[:300]
        yield f"  note        the template puts a system prompt of its own before {many(report.added_text_samples, 'sample')}: {told!r}"
    if report.simulated_samples:
        yield f"  note        written by the simulator, so never train on it: {many(report.simulated_samples, 'sample')}"
    if tokenizer == SHIPPED_TOKENIZER:
        yield "  note        ids of the shipped tokenizer mean nothing to a published model: take the tokenizer of the model to be trained"


def _look(folder: Path, report: PackReport, templating: Templating) -> Text:
    text = Text(f"a look at row 1 of {report.rows:,}: {LEGEND}\n")
    return text.append_text(look(first_row(folder), templating.tokenizer))


def _end(source: _Source, folder: Path, page: Path | None) -> Iterator[str]:
    yield "load it (FOLDER is the set's)"
    for name, how in json.loads((folder / "pack.json").read_text(encoding="utf-8"))["load"].items():
        yield f"  {name + ':':<14} {how}"
    if source.unreadable:
        yield f"{_unreadable(source.unreadable)}; all of them in {folder / 'unreadable.jsonl'}"
    if page:
        yield f"wrote {page}: samples beside what becomes of them"
    yield f"wrote {folder}"


def _unreadable(lines: list[Unreadable]) -> str:
    named = ", ".join(f"{one.line} ({one.reason})" for one in lines[:_LINES_NAMED]) + (" …" if len(lines) > _LINES_NAMED else "")
    return f"{many(len(lines), 'unreadable line')}: {named}"


def _as_json(report: PackReport, source: _Source, folder: Path, page: Path | None) -> dict[str, Any]:
    return {
        "out": str(folder),
        **asdict(report),
        "unreadable": len(source.unreadable),
        "unreadable_lines": [one.line for one in source.unreadable],
        "template_check": str(page) if page else None,
    }


def _today() -> date:
    return datetime.now(UTC).date()
