"""Look at what a model will be trained on: samples read back out of a packed set, decoded, beside what they were.

Mask and boundaries are proved sample by sample when a set is packed; this is for the eye of whoever answers for it. What is shown is what
lies on the disk: the row is read from the set's own files. Text of samples is escaped: the page runs no script and loads nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]

from gen.errors import StorageError
from gen.markup import html
from gen.packing import Rows
from gen.templates.chat_template import Unfit
from gen.templates.packed_set import IGNORED
from gen.templates.sample_draw import LONGEST_TEXT, Drawn, Source, middle_cut
from gen.templates.tokenizer import ChatTokenizer, load_tokenizer

_AT_END = 2_000  # characters kept of the end of a run that is too long for the page
_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:84rem;padding:0 1rem;color:#1c1c1c;background:#fff}"
    "section{display:grid;grid-template-columns:1fr 1fr;gap:.5rem 1.5rem;border-top:1px solid #ccc;padding:1rem 0}"
    "h2{grid-column:1/-1;font-size:1rem;margin:0}h2 small{font-weight:400;color:#666;margin-left:.75rem}"
    "h3{font-size:.8rem;margin:0;color:#666}"
    "pre{white-space:pre-wrap;overflow-wrap:anywhere;margin:0;font:13px/1.5 ui-monospace,monospace;min-width:0}section>div{min-width:0}"
    ".t{background:#cdeccd}.c{color:#8a1f6a;font-weight:600}.r{color:#666;font-weight:600}.d{color:#a40000}"
    "@media(max-width:48rem){section{grid-template-columns:1fr}}"
    "@media(prefers-color-scheme:dark){body{color:#eee;background:#161616}section{border-color:#444}h2 small,h3,.r{color:#aaa}"
    ".t{background:#1d4a1d}.c{color:#f08ad0}.d{color:#ff8a8a}}"
)


@dataclass(frozen=True, slots=True)
class Run:
    """An unbroken stretch of decoded text. `control`: it is one control token."""

    text: str
    trained: bool
    control: bool


@dataclass(frozen=True, slots=True)
class Checked:
    """A sample's texts beside what became of them: its decoded runs and where they stand, or why it cannot be packed. `row` and `place`
    count from 1, `place` among the `of` samples of the row."""

    id: str
    source: Source
    runs: tuple[Run, ...] = ()
    unfit: Unfit | None = None
    row: int = 0
    place: int = 0
    of: int = 0

    @property
    def where(self) -> str:
        """Where it stands, for people; empty where it was left out."""
        return f"row {self.row:,}, sample {self.place} of {self.of}" if self.unfit is None else ""


def read_back(folder: Path, drawn: Iterable[Drawn], rows: Rows, tokenizer: ChatTokenizer) -> list[Checked]:
    """What was drawn, as it lies in the packed set; `rows` says which samples share a row, by position.

    Raises StorageError when the set cannot be read.
    """
    listed = list(drawn)
    positions = np.array([one.position for one in listed if one.position is not None], np.int64)
    places = np.flatnonzero(np.isin(rows.indices, positions))
    numbers = np.searchsorted(rows.starts, places, side="right") - 1
    found = {int(rows.indices[at]): (int(row), int(at - rows.starts[row])) for at, row in zip(places, numbers, strict=True)}
    read = rows_at(folder, {row for row, _ in found.values()})
    decoded = {row: decode_row(one, tokenizer) for row, one in read.items()}
    checked = []
    for one in listed:
        if one.position is None:
            checked.append(Checked(one.id, one.source, unfit=one.unfit))
        else:
            row, place = found[one.position]
            checked.append(Checked(one.id, one.source, decoded[row][place], None, row + 1, place + 1, len(decoded[row])))
    return checked


def rows_at(folder: Path, numbers: Iterable[int]) -> dict[int, Mapping[str, Any]]:
    """Some rows of a packed set, their columns as lists. Raises StorageError when the set cannot be read."""
    wanted, before = sorted(numbers), 0
    found: dict[int, Mapping[str, Any]] = {}
    try:
        for shard in sorted(folder.glob("data-*.arrow")):
            with pa.memory_map(str(shard)) as source, pa.ipc.open_stream(source) as batches:
                for batch in batches:
                    after = before + batch.num_rows
                    for number in (number for number in wanted if before <= number < after):
                        row: dict[str, Any] = batch.slice(number - before, 1).to_pylist()[0]
                        found[number] = row if "seq_lengths" in row else row | {"seq_lengths": [len(row["input_ids"])]}
                    before = after
    except (OSError, pa.ArrowInvalid) as error:
        raise StorageError(f"{folder}: the packed set cannot be read back ({type(error).__name__})") from error
    if len(found) < len(wanted):
        raise StorageError(f"{folder}: the packed set cannot be read back (it has {before} rows)")
    return found


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
            samples.append(runs_of(ids[start:end], [label != IGNORED for label in labels[start:end]], loaded))
        start = end
    return tuple(samples)


def runs_of(ids: Sequence[int], trained: Sequence[bool], tokenizer: ChatTokenizer) -> tuple[Run, ...]:
    """Ids decoded, broken where the mask changes and at each control token."""
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


def check_page(checked: Sequence[Checked], title: str) -> str:
    """The check as one HTML page: each sample's texts on the left, what is trained on the right."""
    head = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f'<meta name="viewport" content="width=device-width"><title>{html(title)}</title><style>{_STYLE}</style></head><body>'
        f'<h1>{html(title)}</h1><p>On the right <span class="t">what is trained on</span> and <span class="c">control tokens</span>;'
        " the rest is read and not learnt. Look for: each answer marked from its first word to the token that ends its turn, no question"
        " marked, no control token twice, none spelt out as text. A plain text is marked but for its first token, which nothing leads"
        " to.</p>\n"
    )
    return head + "\n".join(_section(item) for item in checked) + "\n</body></html>\n"


def _section(item: Checked) -> str:
    source = "\n\n".join(f'<span class="r">{html(role)}</span>\n{html(text)}' for role, text in item.source)
    if item.unfit is not None:
        shown = f'<span class="d">left out: {html(item.unfit.reason)} {html(item.unfit.detail)}</span>'
    else:
        shown = "".join(f'<span class="{_classes(run)}">{html(middle_cut(run.text, LONGEST_TEXT, _AT_END))}</span>' for run in item.runs)
    head = f"<h2>{html(item.id)}<small>{html(item.where)}</small></h2>"
    columns = (("source", source), ("what the model reads", shown))
    return f"<section>{head}{''.join(f'<div><h3>{title}</h3><pre>{text}</pre></div>' for title, text in columns)}</section>"


def _classes(run: Run) -> str:
    return " ".join(["t"] * run.trained + ["c"] * run.control)
