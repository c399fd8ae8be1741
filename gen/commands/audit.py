"""`sluice audit`: the data-quality audit of any dataset."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from gen.audit.figures import figures
from gen.audit.findings import Finding, findings, where
from gen.audit.measures import Audit, audit
from gen.audit.page import audit_page
from gen.audit.standard import Criterion, lab_standard, passed
from gen.audit.targets import Place, place_text, targets_of
from gen.audit.texts import Said, texts_behind
from gen.errors import InputError
from gen.figures.wording import many, percent
from gen.files import write_text
from gen.markup import cut, visible
from gen.pack_options import tokenizer_place, tokenizer_title
from gen.records import reading_of
from gen.run_folder import open_ledger
from gen.templates.templating import Templating, open_templating

EXIT_DONE, EXIT_ISSUES = 0, 1
_FAMILIES_NAMED, _MEMBERS_NAMED, _CONTRADICTIONS_NAMED, _QUOTED = 3, 3, 3, 100


def command(
    targets: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="Any dataset, a folder of splits, a run's folder, or hub:owner/name.")
    ],
    tokenizer: Annotated[str | None, typer.Option(help="Count tokens with this one: a Hub name, a folder or `shipped`.")] = None,
    chat_template: Annotated[str | None, typer.Option(help="chatml, llama3, alpaca or a Jinja file, instead of its own.")] = None,
    max_length: Annotated[int, typer.Option(min=0, help="Tokens that a trainer takes: how much would be cut? 0 for no bound.")] = 0,
    standard: Annotated[Literal["lab"] | None, typer.Option(help="Print the pass/fail table of a course's lab, for a run.")] = None,
    layout: Annotated[str, typer.Option(help="Read the records as this layout, where their keys do not tell.")] = "",
    columns: Annotated[str, typer.Option(help="What columns mean: prompt=question,completion=answer.")] = "",
    out: Annotated[Path | None, typer.Option(help="Write audit.html and audit.json to this folder.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write the page to this file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object with every figure instead.")] = False,
) -> int:
    """Audit any dataset: structure, duplicates, lengths, balance, languages, refusals, leaks, personal data, contradictions.

    Exit status: 0 without an issue, 1 with one, 2 if a file cannot be read.
    """
    if chat_template and not tokenizer:
        raise InputError("--chat-template needs --tokenizer")
    run = _run(targets) if standard else None
    live = sys.stderr.isatty() and not as_json
    templating = _templating(tokenizer, chat_template)
    name = tokenizer_title(tokenizer, templating.tokenizer.name) if templating else ""
    progress = _show if live else lambda _: None
    found = audit(
        targets_of(targets, reading_of(layout, columns)), templating, tokenizer_name=name, max_length=max_length, progress=progress
    )
    if live:
        print("\r\033[K", end="", file=sys.stderr)
    criteria = _criteria(run, found) if run else ()
    title = ", ".join(path.name or str(path) for path in targets)
    said = texts_behind(found)
    facts = figures(found, said) | ({"standard": {"name": standard, "criteria": [asdict(one) for one in criteria]}} if standard else {})
    written = _write(title, found, facts, said, out, html)
    if as_json:
        print(json.dumps(facts, ensure_ascii=False))
    else:
        _print(found, criteria, written, said)
    if standard:
        return EXIT_DONE if passed(criteria) else EXIT_ISSUES
    return EXIT_DONE if facts["passed"] else EXIT_ISSUES


def _run(targets: Sequence[Path]) -> Path:
    if len(targets) != 1 or not (targets[0] / "run.db").is_file():
        raise InputError(f"--standard lab is for one run's folder, whose card and ledger it reads; got {', '.join(map(str, targets))}")
    return targets[0]


def _criteria(run: Path, found: Audit) -> tuple[Criterion, ...]:
    with closing(open_ledger(run, to_read=True)) as ledger:
        return lab_standard(run, ledger, found)


def _templating(tokenizer: str | None, chat_template: str | None) -> Templating | None:
    return open_templating(tokenizer_place(tokenizer, Path()), chat_template=chat_template) if tokenizer else None


def _show(records: int) -> None:
    print(f"\r\033[K{records:,} read", end="", file=sys.stderr)


def _write(title: str, found: Audit, facts: dict[str, Any], said: Mapping[Place, Said], out: Path | None, html: Path | None) -> list[Path]:
    pages = [path for path in (html, out / "audit.html" if out else None) if path]
    if pages:
        page = audit_page(title, found, said)
        for path in pages:
            write_text(path, page)
    if out:
        write_text(out / "audit.json", json.dumps(facts, indent=2, ensure_ascii=False) + "\n")
        pages.append(out / "audit.json")
    return pages


def _print(found: Audit, criteria: Sequence[Criterion], written: Sequence[Path], said: Mapping[Place, Said]) -> None:
    console = Console(highlight=False, markup=False, emoji=False)
    for target, count, lines in zip(found.targets, found.survey.records, found.survey.unreadable, strict=True):
        unreadable = f", {many(lines.total(), 'unreadable line')}" if lines else ""
        console.print(f"{visible(target.name)}: {many(count, 'record')}{unreadable}", soft_wrap=True)
    console.print(_lengths(found))
    console.print(f"counted as {visible(found.tokens_by)}", soft_wrap=True)
    if found.max_length:
        share = percent(found.truncated / found.records)
        console.print(f"over {found.max_length:,} tokens: {many(found.truncated, 'record')} ({share})", soft_wrap=True)
    if found.survey.repeats:
        console.print(f"{many(found.survey.repeats, 'row')} repeated on purpose by a mix: no duplicates", soft_wrap=True)
    listed = findings(found)
    for one in listed:
        _print_finding(console, one, found)
    _print_families(console, found, said)
    _print_contradictions(console, found, said)
    issues = sum(one.issue for one in listed)
    console.print(f"{many(issues, 'issue') if issues else 'no issue'}, {many(len(listed) - issues, 'note')}")
    if criteria:
        console.print(_standard(criteria))
    for path in written:
        console.print(f"wrote {path}", soft_wrap=True)


def _lengths(found: Audit) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2))
    table.add_column("")
    for head in ("mean", "median", "95 %", "longest"):
        table.add_column(head, justify="right")
    for name, one in (("words per prompt", found.prompts), ("words per reply", found.replies), ("tokens", found.tokens)):
        table.add_row(name, f"{one.mean:,.1f}", f"{one.median:,}", f"{one.p95:,}", f"{one.longest:,}")
    return table


def _print_finding(console: Console, one: Finding, found: Audit) -> None:
    mark = Text("ISSUE ", style="bold red") if one.issue else Text("note  ", style="yellow")
    console.print(mark + Text(visible(one.text), style="not bold default"), soft_wrap=True)
    if at := where(one, found):
        console.print(f"      at {at}", soft_wrap=True)
    if one.cure:
        console.print(Text(f"      mend: {one.cure}", style="dim"), soft_wrap=True)


def _print_families(console: Console, found: Audit, said: Mapping[Place, Said]) -> None:
    for family in found.duplicates.largest[:_FAMILIES_NAMED]:
        shown = [place for place in family.places[:_MEMBERS_NAMED] if place in said]
        if shown:
            console.print(f"      alike: {many(family.size, 'record')}", soft_wrap=True)
        for place in shown:
            console.print(f"        {place_text(place, found.targets)}: {_short(said[place].prompt)}", soft_wrap=True)


def _print_contradictions(console: Console, found: Audit, said: Mapping[Place, Said]) -> None:
    for one in found.contradictions.named[:_CONTRADICTIONS_NAMED]:
        if one.first in said and one.second in said:
            console.print(f"      {one.kind}: {_short(said[one.first].prompt)}", soft_wrap=True)
            for place in (one.first, one.second):
                console.print(f"        {place_text(place, found.targets)}: {_short(said[place].reply)}", soft_wrap=True)


def _short(text: str) -> str:
    return cut(" ".join(visible(text[:2000]).split()), _QUOTED)


def _standard(criteria: Sequence[Criterion]) -> Table:
    table = Table(title="lab standard", title_justify="left", pad_edge=False)
    for head in ("criterion", "result", "what was found"):
        table.add_column(head)
    styles = {"pass": "green", "fail": "bold red", "not reviewed": "yellow"}
    for one in criteria:
        table.add_row(one.name, Text(one.result, style=styles[one.result]), Text(visible(one.detail)))
    return table
