"""A training set as a trainer's forward pass takes it: chat template applied, loss mask proved, samples packed into full rows.

`pack_samples` writes a folder for `datasets.load_from_disk` with `pack.json` (what it is, how full, how to load it) and
`dropped.jsonl` (each sample that was left out, and why) beside the rows. Nothing is truncated: a cut answer would teach a model to stop
in the middle, so a sample longer than a row is dropped (`too_long`) and counted, or by choice split between its exchanges (see
gen.templates.over_long). Same samples, options and tokenizer: same bytes.
"""

from __future__ import annotations

import json
import pickle
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, Literal

import numpy as np

from gen.conversation import Skipped
from gen.errors import InputError
from gen.files import write_jsonl, write_text
from gen.packing import Rows, efficiency, lower_bound, pack_lengths
from gen.templates.chat_template import Unfit
from gen.templates.curriculum import Order, level, ordered
from gen.templates.over_long import Part, parts_of
from gen.templates.packed_set import COLUMNS, Layout, TokenFile, rows, write_set
from gen.templates.templating import Encoded, SpecialTokens, Templating, TrainOn, open_templating
from gen.types import Provenance, Sample
from gen.whole_folder import replacing_folder

OverLong = Literal["drop", "split"]
_FOREIGN = 20  # kinds of foreign tokens counted; a text made to look like many is told by the first
_DATASETS = "datasets.load_from_disk(FOLDER)"
_LOAD: Mapping[Layout, Mapping[str, str]] = {
    "packed": {
        "datasets": _DATASETS,
        "trl": "SFTConfig(padding_free=True, packing=False, max_length=None); packing=True would pack again and lose seq_lengths",
        "transformers": "one row a batch: input_ids, labels, position_ids, no attention_mask, use_cache=False; else samples see each other",
        "axolotl": "pack with layout 'examples' instead: Axolotl packs by itself",
    },
    "padded": {
        "datasets": _DATASETS,
        "attention_mask": "numbers the samples of a row from 1, padding is 0: build the block-diagonal mask from it, it is no plain mask",
    },
    "examples": {
        "datasets": _DATASETS,
        "axolotl": "datasets: [{path: FOLDER, type: }] and sample_packing: true; input_ids, attention_mask, labels are read as they are",
        "trl": "SFTConfig(max_length=None); labels are kept as they are",
    },
}


@dataclass(frozen=True, slots=True)
class PackReport:
    """What was packed. Efficiencies are shares of `rows` × `max_length` positions that hold a token, `unpacked` with one sample per
    row; `lower_bound` is a number of rows that no packing can beat; `added_text` is what the template put before the
    `added_text_samples` samples that bring no system message; `dropped` counts samples left out by reason; `foreign_tokens` counts the
    samples whose text holds what looks like a control token and is none of this tokenizer, by that text: rendered for another model.
    With `over_long: split`, `split_samples` longer than a row became `parts` that count as samples, and `dropped` counts what of them
    fits no row. `order_unknown` samples do not say where they stand in the order."""

    rows: int
    samples: int
    tokens: int
    trained_tokens: int
    efficiency: float
    unpacked_efficiency: float
    lower_bound: int
    dropped: Mapping[str, int]
    max_length: int
    longest: int
    seed: int
    layout: Layout
    train_on: TrainOn
    special_tokens: SpecialTokens
    tokenizer: str
    tokenizer_sha256: str
    template_sha256: str
    template_date: str
    added_text: str
    added_text_samples: int
    simulated_samples: int
    foreign_tokens: Mapping[str, int] = field(default_factory=dict)
    over_long: OverLong = "drop"
    split_samples: int = 0
    parts: int = 0
    order: Order = "shuffle"
    order_unknown: int = 0


@dataclass(frozen=True)
class Packed:
    """Rows of token ids: `input_ids`, `labels`, `seq_lengths`, `position_ids` (see gen.templates.packed_set for the other layouts).

    >>> from gen.resources import resource
    >>> from gen.types import Message
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

    def __post_init__(self) -> None:
        if self.max_length < 2:
            raise ValueError(f"max_length is {self.max_length}: a row must hold at least 2 tokens")

    def rows(self, items: Iterable[Sample]) -> Iterator[dict[str, Any] | Skipped]:
        """The packed rows, then what was left out."""
        with tempfile.TemporaryDirectory() as folder:
            packing = self._packing(items, Path(folder))
            for row in packing.made():
                yield {name: column.tolist() for name, column in zip(COLUMNS[self.layout], row, strict=True)}
            yield from packing.dropped

    def write(self, items: Iterable[Sample], out: Path) -> PackReport:
        """Write the set to the folder `out`, which appears at once and whole, in the place of an earlier pack.

        Raises InputError when no sample can be packed or `out` holds something else, StorageError when it cannot be written.
        """
        _check_place(out)
        with replacing_folder(out) as folder, tempfile.TemporaryDirectory(dir=folder.parent, prefix=".tokens-") as waiting:
            packing = self._packing(items, Path(waiting))
            if not packing.tokens.lengths:
                raise InputError(_nothing(packing.dropped))
            report = packing.report()
            positions = report.rows * self.max_length if self.layout == "padded" else report.tokens
            write_set(folder, COLUMNS[self.layout], packing.made(), positions)
            write_jsonl(folder / "dropped.jsonl", (asdict(item) for item in packing.dropped))
            facts = {**asdict(report), "format": "sluice packed set 1", "load": _LOAD[self.layout]}
            write_text(folder / "pack.json", json.dumps(facts, indent=2, sort_keys=True, ensure_ascii=False) + "\n")
            return report

    def _packing(self, items: Iterable[Sample], folder: Path) -> _Packing:
        templating = open_templating(
            self.tokenizer,
            chat_template=self.chat_template,
            train_on=self.train_on,
            special_tokens=self.special_tokens,
            day=self.day,
            options=self.template_options,
            remember=self.remember,
        )
        return _Packing(self, templating, items, TokenFile(folder))


@dataclass
class _Packing:
    """One pack under way: every sample encoded to disk or dropped, then assigned to a row."""

    options: Packed
    templating: Templating
    items: Iterable[Sample]
    tokens: TokenFile
    dropped: list[Skipped] = field(default_factory=list)
    without_system: int = 0
    simulated: int = 0
    foreign: Counter[str] = field(default_factory=Counter)
    levels: list[float | None] = field(default_factory=list)
    split_samples: int = 0
    parts: int = 0
    assigned: Rows = field(init=False)

    def __post_init__(self) -> None:
        with _Waiting.open(self.tokens.folder) as waiting:
            for sample, result in self.templating.encode(self.items):
                over_long = None if isinstance(result, Unfit) else self._too_long(len(result.ids))
                if over_long and self.options.over_long == "split":
                    waiting.add(sample, level(sample, self.options.order))
                else:
                    self._add(sample, over_long or result, level(sample, self.options.order))
            for sample, place in waiting.samples():
                self._split(sample, place)
        self.tokens.close()
        self.assigned = ordered(self._assigned(), self.options.order, self.tokens.lengths, self.levels)

    def _assigned(self) -> Rows:
        count = len(self.tokens.lengths)
        if self.options.layout == "examples":
            return Rows(np.arange(count), np.arange(count + 1))
        return pack_lengths(self.tokens.lengths, self.options.max_length, shuffle_seed=self.options.seed)

    def _split(self, sample: Sample, place: float | None) -> None:
        before = len(self.tokens.lengths)
        for part in parts_of(sample, self._encoded, self.options.max_length, self.options.train_on):
            if isinstance(part, Part):
                self._add(part.sample, part.encoded, place)
            else:
                self.dropped.append(part)
        made = len(self.tokens.lengths) - before
        self.split_samples += made > 0
        self.parts += made

    def _encoded(self, sample: Sample) -> Encoded | Unfit:
        return next(result for _, result in self.templating.encode([sample]))

    def _add(self, sample: Sample, result: Encoded | Unfit, place: float | None) -> None:
        if isinstance(result, Unfit):
            self.dropped.append(Skipped(sample.id, result.reason, result.detail))
            return
        self.tokens.add(result.ids, result.trained)
        if self.options.order in ("difficulty", "depth"):
            self.levels.append(place)
        self.without_system += sample.messages[0].role != "system"
        self.simulated += sample.provenance.simulated
        for text in sorted(self.templating.foreign_tokens(sample.messages)):
            if text in self.foreign or len(self.foreign) < _FOREIGN:
                self.foreign[text] += 1

    def _too_long(self, length: int) -> Unfit | None:
        longest = self.options.max_length
        return Unfit("too_long", f"{length} tokens, a row holds {longest}") if length > longest else None

    def made(self) -> Iterator[Any]:
        return rows(self.tokens, self.assigned, self.options.layout, self.options.max_length, self.templating.tokenizer.pad_id)

    def report(self) -> PackReport:
        options, lengths = self.options, self.tokens.lengths
        total, limit = sum(lengths), options.max_length
        return PackReport(
            rows=len(self.assigned),
            samples=len(lengths),
            tokens=total,
            trained_tokens=self.tokens.trained,
            efficiency=round(efficiency(total, len(self.assigned), limit), 6),
            unpacked_efficiency=round(efficiency(total, len(lengths), limit), 6),
            lower_bound=lower_bound(lengths, limit),
            dropped=dict(sorted(Counter(item.reason for item in self.dropped).items())),
            max_length=limit,
            longest=max(lengths),
            seed=options.seed,
            layout=options.layout,
            train_on=options.train_on,
            special_tokens=options.special_tokens,
            tokenizer=self.templating.tokenizer.name,
            tokenizer_sha256=self.templating.tokenizer.fingerprint,
            template_sha256=self.templating.template_fingerprint,
            template_date=self.templating.template.today.isoformat(),
            added_text=self.templating.added_text if self.without_system else "",
            added_text_samples=self.without_system if self.templating.added_text else 0,
            simulated_samples=self.simulated,
            foreign_tokens=dict(sorted(self.foreign.items())),
            over_long=options.over_long,
            split_samples=self.split_samples,
            parts=self.parts,
            order=options.order,
            order_unknown=sum(place is None for place in self.levels),
        )


@dataclass(frozen=True, slots=True)
class _Waiting:
    """Samples that are to be split once all others are encoded, on disk meanwhile: there may be many, and they are long."""

    file: BinaryIO

    @classmethod
    @contextmanager
    def open(cls, folder: Path) -> Iterator[_Waiting]:
        with (folder / "over-long").open("w+b") as file:
            yield cls(file)

    def add(self, sample: Sample, place: float | None) -> None:
        pickle.dump((sample.id, sample.messages, sample.provenance.simulated, place), self.file)

    def samples(self) -> Iterator[tuple[Sample, float | None]]:
        end = self.file.tell()
        self.file.seek(0)
        while self.file.tell() < end:
            name, messages, simulated, place = pickle.load(self.file)
            yield Sample(name, messages, provenance=Provenance(simulated=simulated)), place


def pack_samples(
    samples: Iterable[Sample],
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
) -> PackReport:
    """Template, mask and pack `samples` into rows of at most `max_length` tokens, written to the folder `out`.

    The options are those of `open_templating`; `layout` is one of `COLUMNS`; `seed` shuffles the rows, `order` sorts
    them after that; `over_long` says what becomes of a sample that is longer than a row.
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
        )
    except ValueError as error:
        raise InputError(str(error)) from error
    return options.write(samples, out)


def _check_place(out: Path) -> None:
    if out.exists() and not (out / "pack.json").is_file() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out} exists and holds no packed set: choose another folder")


def _nothing(dropped: list[Skipped]) -> str:
    if not dropped:
        return "there is no sample to pack"
    counted = ", ".join(f"{reason} {count}" for reason, count in Counter(item.reason for item in dropped).most_common())
    return f"no sample can be packed: {counted}; the first, '{dropped[0].id}': {dropped[0].detail or dropped[0].reason}"


PLUGIN = Packed
