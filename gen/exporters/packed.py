"""A training set as a trainer's forward pass takes it: chat template applied, loss mask proved, samples packed into full rows.

`pack_samples` writes a folder for `datasets.load_from_disk` with `pack.json` (what it is, how full, how to load it), `dropped.jsonl`
(each sample that was left out, and why) and `template-check.html` (some of them read back, beside their source) beside the rows. Nothing
is truncated: a cut answer would teach a model to stop in the middle, so a sample longer than a row is dropped (`too_long`) and counted, or
by choice split between its exchanges (see gen.templates.over_long). A plain text is packed without a template and cut at token borders,
all of it kept (see gen.templates.documents). Same samples, options and tokenizer: same bytes.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field
from datetime import date
from itertools import chain, islice
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from gen.conversation import Skipped
from gen.errors import InputError
from gen.files import write_jsonl, write_text
from gen.packing import Rows, efficiency, lower_bound, pack_lengths
from gen.templates.curriculum import Order, ordered
from gen.templates.documents import Document
from gen.templates.encoded_set import EncodedSet, OverLong
from gen.templates.item_encoder import Item, ItemEncoder, open_encoder
from gen.templates.pack_report import LOAD, PackReport
from gen.templates.packed_set import COLUMNS, Layout, TokenFile, rows, write_set
from gen.templates.row_spool import LeftOut
from gen.templates.sample_draw import Draw
from gen.templates.template_check import Checked, check_page, read_back
from gen.templates.templating import SpecialTokens, TrainOn
from gen.whole_folder import replacing_folder

CHECK_PAGE = "template-check.html"
SHOWN_ON_PAGE = 50
MAX_CHECKED = 1000  # samples on one page: a browser shows them at once


@dataclass(frozen=True, slots=True)
class PackedSet:
    """A set that was written, and the samples drawn from it, in the order they came."""

    report: PackReport
    checked: tuple[Checked, ...]


@dataclass(frozen=True)
class Packed:
    """Rows of token ids: `input_ids`, `labels`, `seq_lengths`, `position_ids` (see gen.templates.packed_set for the other layouts).

    >>> from gen.resources import resource
    >>> from gen.types import Message, Sample
    >>> exporter = Packed(tokenizer=str(resource("data", "tokenizer")), max_length=64)
    >>> pair = (Message("user", "Hi"), Message("assistant", "Hello"))
    >>> row, = exporter.rows([Sample("one", pair), Sample("two", pair)])
    >>> len(row["seq_lengths"]), row["position_ids"].count(0), row["labels"][0]
    (2, 2, -100)
    """

    takes: ClassVar[str] = "samples"
    folder: ClassVar[str] = "packed"
    columns: ClassVar[dict[str, Any]] = {name: ["int32"] for name in COLUMNS["packed"]}

    tokenizer: str
    max_length: int
    chat_template: str | None = None
    train_on: TrainOn = "all"
    special_tokens: SpecialTokens = "as_text"
    layout: Layout = "packed"
    seed: int = 0
    day: date | None = None
    template_options: Mapping[str, Any] = field(default_factory=dict)
    remember: bool = True
    over_long: OverLong = "drop"
    order: Order = "shuffle"
    check: int = SHOWN_ON_PAGE

    def __post_init__(self) -> None:
        if self.max_length < 2:
            raise ValueError(f"max_length is {self.max_length}: a row must hold at least 2 tokens")
        if not 0 <= self.check <= MAX_CHECKED:
            raise ValueError(f"check is {self.check}: the page shows 0 to {MAX_CHECKED} samples")

    def rows(self, items: Iterable[Item]) -> Iterator[dict[str, Any] | Skipped]:
        """The packed rows, then what was left out."""
        with self._packing(items) as packing:
            for row in packing.made():
                yield {name: column.tolist() for name, column in zip(COLUMNS[self.layout], row, strict=True)}
            yield from packing.encoded.left_out

    def write(self, items: Iterable[Item], out: Path) -> PackReport:
        """Write the set to the folder `out`, which appears at once and whole, in the place of an earlier pack.

        Raises InputError when no sample can be packed or `out` holds something else, StorageError when it cannot be written.
        """
        return self.packed(items, out).report

    def packed(self, items: Iterable[Item], out: Path) -> PackedSet:
        """The same, with the samples that were drawn to be looked at, as they lie in the set."""
        _check_place(out)
        with replacing_folder(out) as folder, self._packing(items, folder.parent) as packing:
            encoded = packing.encoded
            if not encoded.tokens.lengths:
                raise InputError(_nothing(encoded.left_out))
            report = packing.report()
            positions = report.rows * self.max_length if self.layout == "padded" else report.tokens
            write_set(folder, COLUMNS[self.layout], packing.made(), positions)
            write_jsonl(folder / "dropped.jsonl", encoded.left_out.rows)
            facts = {**asdict(report), "format": "sluice packed set 1", "load": LOAD[self.layout]}
            write_text(folder / "pack.json", json.dumps(facts, indent=2, sort_keys=True, ensure_ascii=False) + "\n")
            checked = read_back(folder, encoded.draw.drawn(), packing.assigned, packing.encoder.tokenizer)
            if checked:
                write_text(folder / CHECK_PAGE, check_page(checked, _page_title(report, sum(encoded.left_out.reasons.values()))))
            return PackedSet(report, tuple(checked))

    @contextmanager
    def _packing(self, items: Iterable[Item], beside: Path | None = None) -> Iterator[_Packing]:
        """A pack under way whose tokens wait in a folder `beside` the set, gone at the end."""
        encoder = open_encoder(
            self.tokenizer,
            chat_template=self.chat_template,
            train_on=self.train_on,
            special_tokens=self.special_tokens,
            day=self.day,
            options=self.template_options,
            remember=self.remember,
        )
        with tempfile.TemporaryDirectory(dir=beside, prefix=".tokens-") as waiting, closing(LeftOut()) as left_out:
            yield _Packing(self, encoder, items, Path(waiting), left_out)


@dataclass
class _Packing:
    """One pack under way: every item encoded to disk or left out, then assigned to a row."""

    options: Packed
    encoder: ItemEncoder
    items: Iterable[Item]
    folder: Path
    left_out: LeftOut
    encoded: EncodedSet = field(init=False)
    assigned: Rows = field(init=False)

    def __post_init__(self) -> None:
        items, options, tokens = _with_a_template(self.items, self.encoder), self.options, TokenFile(self.folder)
        self.encoded = EncodedSet(
            self.encoder,
            tokens,
            self.left_out,
            Draw(options.check, options.seed),
            max_length=options.max_length,
            over_long=options.over_long,
            train_on=options.train_on,
            order=options.order,
        )
        self.encoded.add(items)
        self.assigned = ordered(self._assigned(), options.order, tokens.lengths, self.encoded.levels)

    def _assigned(self) -> Rows:
        lengths = self.encoded.tokens.lengths
        if self.options.layout == "examples":
            return Rows(np.arange(len(lengths)), np.arange(len(lengths) + 1))
        return pack_lengths(lengths, self.options.max_length, shuffle_seed=self.options.seed)

    def made(self) -> Iterator[Any]:
        return rows(self.encoded.tokens, self.assigned, self.options.layout, self.options.max_length, self.encoder.tokenizer.pad_id)

    def report(self) -> PackReport:
        options, encoded, lengths = self.options, self.encoded, self.encoded.tokens.lengths
        total, limit = sum(lengths), options.max_length
        return PackReport(
            rows=len(self.assigned),
            samples=len(lengths),
            tokens=total,
            trained_tokens=encoded.tokens.trained,
            efficiency=round(efficiency(total, len(self.assigned), limit), 6),
            unpacked_efficiency=round(efficiency(total, len(lengths), limit), 6),
            lower_bound=lower_bound(lengths, limit),
            dropped=dict(sorted(encoded.left_out.reasons.items())),
            max_length=limit,
            longest=max(lengths),
            seed=options.seed,
            layout=options.layout,
            train_on=options.train_on,
            special_tokens=options.special_tokens,
            tokenizer=self.encoder.tokenizer.name,
            tokenizer_sha256=self.encoder.tokenizer.fingerprint,
            simulated_samples=encoded.simulated,
            foreign_tokens=dict(sorted(encoded.foreign.items())),
            over_long=options.over_long,
            split_samples=encoded.split_samples,
            parts=encoded.parts,
            order=options.order,
            order_unknown=sum(place is None for place in encoded.levels),
            checked=len(encoded.draw.drawn()),
            **(self._of_the_template() if encoded.conversations else {}),
            **(self._of_documents() if encoded.documents else {}),
        )

    def _of_the_template(self) -> dict[str, Any]:
        templating, without_system = self.encoder.templating, self.encoded.without_system
        return {
            "template_sha256": templating.template_fingerprint,
            "template_date": templating.template.today.isoformat(),
            "added_text": templating.added_text if without_system else "",
            "added_text_samples": without_system if templating.added_text else 0,
        }

    def _of_documents(self) -> dict[str, Any]:
        plans = self.encoder.documents
        return {
            "documents": self.encoded.documents,
            "document_parts": self.encoded.document_parts,
            "document_begin": plans.written(plans.begin),
            "document_end": plans.written(plans.end),
            "quoted_tokens": dict(sorted(self.encoded.quoted.items())),
        }


def _with_a_template(items: Iterable[Item], encoder: ItemEncoder) -> Iterator[Item]:
    """The items; where the first is no document, it is made sure that there is a template before anything is encoded."""
    source = iter(items)
    first = list(islice(source, 1))
    if not first or not isinstance(first[0], Document):
        _ = encoder.templating
    return chain(first, source)


def pack_samples(
    samples: Iterable[Item],
    *,
    tokenizer: str | Path,
    max_length: int,
    out: Path,
    chat_template: str | Path | None = None,
    train_on: TrainOn = "all",
    special_tokens: SpecialTokens = "as_text",
    layout: Layout = "packed",
    seed: int = 0,
    day: date | None = None,
    template_options: Mapping[str, Any] | None = None,
    remember: bool = True,
    over_long: OverLong = "drop",
    order: Order = "shuffle",
    check: int = SHOWN_ON_PAGE,
) -> PackReport:
    """Template, mask and pack `samples` into rows of at most `max_length` tokens, written to the folder `out`. A Document among them is
    packed without a template, every token trained, cut at token borders where it is longer than a row.

    The options are those of `open_templating`; `layout` is one of `COLUMNS`; `seed` shuffles the rows, `order` sorts
    them after that; `over_long` says what becomes of a sample that is longer than a row;
    template-check.html shows `check` samples, drawn with the seed, as they were and as they lie in the set.
    Raises InputError for options, tokenizers, templates and samples that cannot be used, StorageError when `out` cannot be written.
    """
    try:
        options = Packed(
            tokenizer=str(tokenizer),
            max_length=max_length,
            chat_template=None if chat_template is None else str(chat_template),
            train_on=train_on,
            special_tokens=special_tokens,
            layout=layout,
            seed=seed,
            day=day,
            template_options=template_options or {},
            remember=remember,
            over_long=over_long,
            order=order,
            check=check,
        )
    except ValueError as error:
        raise InputError(str(error)) from error
    return options.write(samples, out)


def _check_place(out: Path) -> None:
    if out.exists() and not (out / "pack.json").is_file() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out} exists and holds no packed set: choose another folder")


def _nothing(left_out: LeftOut) -> str:
    if left_out.first is None:
        return "there is no sample to pack"
    counted = ", ".join(f"{reason} {count}" for reason, count in left_out.reasons.most_common())
    return f"no sample can be packed: {counted}; the first, '{left_out.first.id}': {left_out.first.detail or left_out.first.reason}"


def _page_title(report: PackReport, left_out: int) -> str:
    every = report.samples + left_out
    return f"Template check: {report.checked:,} of {every:,} samples as '{report.tokenizer}' reads them"


PLUGIN = Packed
