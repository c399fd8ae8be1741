"""Look at what a model will be trained on: random samples decoded from their ids, trained text and control tokens marked.

Mask and boundaries are proved sample by sample when a set is packed; this is for the eye of whoever answers for it. Also reads a packed
row back into its samples. Text of samples is escaped: the page runs no script and loads nothing.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from rich.text import Text

from gen.templates.chat_template import Unfit
from gen.templates.packed_set import IGNORED
from gen.templates.templating import Templating
from gen.templates.tokenizer import ChatTokenizer, load_tokenizer
from gen.types import Sample

_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:76rem;padding:0 1rem;color:#1c1c1c;background:#fff}"
    "section{display:grid;grid-template-columns:1fr 1fr;gap:1rem;border-top:1px solid #ccc;padding:1rem 0}"
    "h2{grid-column:1/3;font-size:1rem;margin:0}"
    "pre{white-space:pre-wrap;overflow-wrap:anywhere;margin:0;font:13px/1.5 ui-monospace,monospace}"
    ".t{background:#cdeccd}.c{color:#8a1f6a;font-weight:600}.r{color:#666}.d{color:#a40000}"
    "@media(prefers-color-scheme:dark){body{color:#eee;background:#161616}.t{background:#1d4a1d}.c{color:#f08ad0}.r{color:#aaa}.d{color:#ff8a8a}}"
)


@dataclass(frozen=True, slots=True)
class Run:
    """An unbroken stretch of decoded text. `control`: it is one control token."""

    text: str
    trained: bool
    control: bool


@dataclass(frozen=True, slots=True)
class Checked:
    """A sample beside what became of it: its decoded runs, or why it cannot be packed."""

    sample: Sample
    runs: tuple[Run, ...]
    unfit: Unfit | None = None


def decode_row(row: Mapping[str, Any], tokenizer: str | Path | ChatTokenizer) -> tuple[tuple[Run, ...], ...]:
    """The samples in one packed row, in order, each as its runs. Padding is left out; `row` is one of a packed or padded set."""
    loaded = tokenizer if isinstance(tokenizer, ChatTokenizer) else load_tokenizer(tokenizer)
    ids, labels = list(row["input_ids"]), list(row["labels"])
    numbers = row.get("attention_mask")
    samples: list[tuple[Run, ...]] = []
    start = 0
    for length in row["seq_lengths"]:
        end = start + length
        if numbers is None or numbers[start]:
            samples.append(_runs(ids[start:end], [label != IGNORED for label in labels[start:end]], loaded))
        start = end
    return tuple(samples)


def template_check(samples: Iterable[Sample], templating: Templating, *, n: int = 50, seed: int = 0) -> list[Checked]:
    """`n` samples drawn at random (one pass, any number of samples), in the order they came, encoded and decoded again."""
    draw = random.Random(seed)
    keyed = ((draw.random(), place, sample) for place, sample in enumerate(samples))
    chosen = sorted(heapq.nlargest(n, keyed, key=lambda item: item[0]), key=lambda item: item[1])
    checked = []
    for sample, result in templating.encode(sample for _, _, sample in chosen):
        if isinstance(result, Unfit):
            checked.append(Checked(sample, (), result))
        else:
            checked.append(Checked(sample, _runs(result.ids.tolist(), result.trained.tolist(), templating.tokenizer)))
    return checked


def check_page(checked: Sequence[Checked], title: str) -> str:
    """The check as one HTML page: each sample's messages on the left, what is trained on the right."""
    head = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f'<meta name="viewport" content="width=device-width"><title>{escape(title)}</title><style>{_STYLE}</style></head><body>'
        f'<h1>{escape(title)}</h1><p><span class="t">Trained text</span>, <span class="c">control tokens</span>; the rest is context.</p>\n'
    )
    return head + "\n".join(_section(item) for item in checked) + "\n</body></html>\n"


def check_text(checked: Checked) -> Text:
    """The same for a terminal: trained text green, control tokens magenta."""
    text = Text()
    text.append(f"{checked.sample.id}\n", "bold")
    if checked.unfit is not None:
        return text.append(f"left out: {checked.unfit.reason} {checked.unfit.detail}\n", "red")
    for run in checked.runs:
        style = " ".join([*(["bold magenta"] if run.control else ["green"] if run.trained else ["dim"]), *(["underline"] * run.trained)])
        text.append(run.text, style)
    return text.append("\n")


def _section(item: Checked) -> str:
    source = "\n\n".join(f'<span class="r">{escape(message.role)}</span>\n{escape(message.content)}' for message in item.sample.messages)
    if item.unfit is not None:
        shown = f'<span class="d">left out: {escape(item.unfit.reason)} {escape(item.unfit.detail)}</span>'
    else:
        shown = "".join(f'<span class="{_classes(run)}">{escape(run.text)}</span>' for run in item.runs)
    return f"<section><h2>{escape(item.sample.id)}</h2><pre>{source}</pre><pre>{shown}</pre></section>"


def _classes(run: Run) -> str:
    return " ".join(["t"] * run.trained + ["c"] * run.control)


def _runs(ids: Sequence[int], trained: Sequence[bool], tokenizer: ChatTokenizer) -> tuple[Run, ...]:
    control = {special.id: special.text for special in tokenizer.specials.values() if special.control}
    runs: list[Run] = []
    held: list[int] = []
    for place, (number, flag) in enumerate(zip(ids, trained, strict=True)):
        if number in control:
            runs.append(Run(control[number], flag, True))
            continue
        held.append(number)
        following = place + 1
        if following == len(ids) or ids[following] in control or trained[following] != flag:
            runs.append(Run(tokenizer.decode(held), flag, False))
            held.clear()
    return tuple(runs)
