"""What `sluice pack` tells a person once a set is written: what is in it, what was left out, what to look out for."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from gen.exporters.packed import CHECK_PAGE
from gen.figures.wording import many
from gen.markup import visible
from gen.pack_options import SHIPPED_TOKENIZER, tokenizer_title
from gen.pack_source import LINES_NAMED, UnreadableLines
from gen.templates.pack_report import PackReport

_LONGEST_NOTE = 300  # characters of a default system prompt


def summary(report: PackReport, title: str, folder: Path, tokenizer: str) -> Iterator[str]:
    """What was packed, a line each; `title` names the source, `tokenizer` is as the user gave it."""
    yield f"{title}: {many(report.samples, 'sample')} in {many(report.rows, 'row')} of at most {report.max_length:,} tokens"
    yield f"  tokenizer   {tokenizer_title(tokenizer, report.tokenizer)} (sha256 {report.tokenizer_sha256[:12]}…)"
    trained = f"{report.trained_tokens:,} ({report.trained_tokens / report.tokens:.1%}) are trained on"
    yield f"  tokens      {report.tokens:,}, of which {trained}; the longest sample has {report.longest:,}"
    one_each = f"with one sample a row it would be {report.unpacked_efficiency:.1%}"
    yield f"  full        {report.efficiency:.1%} of all positions hold a token; {one_each}"
    yield f"  rows        {report.rows:,}; no packing needs fewer than {report.lower_bound:,}"
    if report.documents:
        yield from _documents(report)
    if report.dropped:
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in report.dropped.items())
        yield f"  left out    {sum(report.dropped.values()):,}: {reasons}; each of them in {folder / 'dropped.jsonl'}"
    if report.split_samples:
        yield f"  split       {many(report.split_samples, 'sample')} longer than a row became {many(report.parts, 'part')}"
    if report.order != "shuffle":
        unknown = f"; {many(report.order_unknown, 'sample')} without" if report.order_unknown else ""
        yield f"  order       rows from low to high by {report.order}{unknown}"
    yield from (f"  note        {note}" for note in _notes(report, tokenizer))


def ending(folder: Path, checked: int, unreadable: UnreadableLines | None) -> Iterator[str]:
    """How to load the set, what could not be read, and what was written."""
    yield "load it (FOLDER is the set's)"
    for name, how in json.loads((folder / "pack.json").read_text(encoding="utf-8"))["load"].items():
        yield f"  {name + ':':<14} {how}"
    if unreadable and unreadable.lines:
        yield f"{told_unreadable(unreadable)}; all of them in {folder / 'unreadable.jsonl'}"
    if checked:
        yield f"wrote {folder / CHECK_PAGE}: {many(checked, 'sample')} beside what becomes of them; look at it before you train"
    yield f"wrote {folder}"


def told_unreadable(unreadable: UnreadableLines) -> str:
    """How many lines could not be read, and the first of them with why."""
    more = " …" if len(unreadable.lines) > LINES_NAMED else ""
    return f"{many(len(unreadable.lines), 'unreadable line')}: {', '.join(f'{one.line} ({one.reason})' for one in unreadable.first)}{more}"


def _documents(report: PackReport) -> Iterator[str]:
    edges = (("begins with", report.document_begin), ("ends with", report.document_end))
    around = [f"{name} {visible(text)}" for name, text in edges if text]
    how = f"; each {' and '.join(around)}" if around else ""
    parts = f" in {many(report.document_parts, 'part')}" if report.document_parts > report.documents else ""
    yield f"  documents   {many(report.documents, 'plain text')}{parts}, without a template, every token trained on{how}"


def _notes(report: PackReport, tokenizer: str) -> Iterator[str]:
    if report.documents and report.samples > report.document_parts:
        yield "the file mixes conversations and plain texts: each is packed as what it is, and rows may hold both, kept apart"
    if report.added_text:
        told = " ".join(visible(report.added_text).split())[:_LONGEST_NOTE]
        yield f"the template puts a system prompt of its own before {many(report.added_text_samples, 'sample')}: {told!r}"
    if report.foreign_tokens:
        how = "was it rendered for one? `--special-tokens refuse` leaves such samples out"
        yield f"text that is a control token of other models, and none of this one: {_counted(report.foreign_tokens)}; {how}"
    if report.quoted_tokens:
        how = "a chat that was rendered already is no plain text, give its `messages`"
        yield f"plain texts hold control tokens, which stay text: {_counted(report.quoted_tokens)}; {how}"
    if report.simulated_samples:
        yield f"written by the simulator, so never train on it: {many(report.simulated_samples, 'sample')}"
    if tokenizer == SHIPPED_TOKENIZER:
        yield "ids of the shipped tokenizer mean nothing to a published model: take the tokenizer of the model to be trained"


def _counted(tokens: Mapping[str, int]) -> str:
    most: Sequence[tuple[str, int]] = sorted(tokens.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{visible(text)} in {many(count, 'sample')}" for text, count in most)
