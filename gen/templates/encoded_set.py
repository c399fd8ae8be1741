"""Every item of a set encoded to disk, cut where it is too long and that is wanted, or left out for a reason: nothing is held in memory but
lengths and the few samples that were drawn to be looked at."""

from __future__ import annotations

import pickle
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Literal

from gen.conversation import Skipped
from gen.templates.chat_template import Unfit
from gen.templates.curriculum import Order, level
from gen.templates.documents import CutText, Document, stretches
from gen.templates.item_encoder import Item, ItemEncoder
from gen.templates.over_long import Part, parts_of
from gen.templates.packed_set import TokenFile
from gen.templates.plan_encoder import Encoded
from gen.templates.row_spool import LeftOut
from gen.templates.sample_draw import LONGEST_TEXT, Draw, Drawn, Source, middle_cut
from gen.templates.templating import TrainOn
from gen.types import Provenance, Sample

OverLong = Literal["drop", "split"]
_KINDS = 20  # of odd tokens that are counted; a text made to look like many is told by the first
_AT_END = 2_000  # characters kept of the end of a text that is too long to be shown


@dataclass
class EncodedSet:
    """Items as they come in, and what became of them so far; `add` takes all of them."""

    encoder: ItemEncoder
    tokens: TokenFile
    left_out: LeftOut
    draw: Draw
    max_length: int
    over_long: OverLong
    train_on: TrainOn
    order: Order
    levels: list[float | None] = field(default_factory=list)
    foreign: Counter[str] = field(default_factory=Counter)
    quoted: Counter[str] = field(default_factory=Counter)
    without_system: int = 0
    simulated: int = 0
    split_samples: int = 0
    parts: int = 0
    documents: int = 0
    document_parts: int = 0

    @property
    def conversations(self) -> int:
        """How many of the samples are conversations, or parts of one."""
        return len(self.tokens.lengths) - self.document_parts

    def add(self, items: Iterable[Item]) -> None:
        """Encode them all. Raises InputError at a conversation that there is no template for."""
        with closing(self.tokens), _Waiting.open(self.tokens.folder) as waiting:
            for item, result in self.encoder.encode(items):
                if isinstance(item, Document):
                    self._document(item, result)
                    continue
                over_long = None if isinstance(result, Unfit) else self._too_long(len(result.ids))
                if over_long and self.over_long == "split":
                    waiting.add(item, level(item, self.order))
                else:
                    self._sample(item, over_long or result, level(item, self.order))
            for sample, place in waiting.samples():
                self._split(sample, place)

    def _too_long(self, length: int) -> Unfit | None:
        return Unfit("too_long", f"{length} tokens, a row holds {self.max_length}") if length > self.max_length else None

    def _split(self, sample: Sample, place: float | None) -> None:
        before = len(self.tokens.lengths)
        for part in parts_of(sample, self._encoded, self.max_length, self.train_on):
            if isinstance(part, Part):
                self._sample(part.sample, part.encoded, place)
            else:
                self.left_out.add(part)
        made = len(self.tokens.lengths) - before
        self.split_samples += made > 0
        self.parts += made

    def _encoded(self, sample: Sample) -> Encoded | Unfit:
        return next(result for _, result in self.encoder.encode([sample]))

    def _sample(self, sample: Sample, result: Encoded | Unfit, place: float | None) -> None:
        source = tuple((message.role, message.content) for message in sample.messages)
        if isinstance(result, Unfit):
            self._unfit(sample.id, source, result)
            return
        self._keep(sample.id, result, place, lambda: source)
        self.without_system += sample.messages[0].role != "system"
        self.simulated += sample.provenance.simulated
        _count(self.foreign, self.encoder.foreign_tokens(sample))

    def _document(self, document: Document, result: Encoded | Unfit) -> None:
        if isinstance(result, Encoded) and len(result.ids) < 2:
            result = Unfit("nothing_to_train", "a single token, which nothing leads to")
        if isinstance(result, Unfit):
            self._unfit(document.id, (("text", document.text),), result)
            return
        cut = CutText(document, self.encoder.documents, result.ids, tuple(stretches(len(result.ids), self.max_length)))
        for number, (start, end) in enumerate(cut.cuts):
            part = Encoded(result.ids[start:end], result.trained[start:end])
            self._keep(cut.name(number), part, None, lambda number=number: (("text", cut.text(number)),))  # type: ignore[misc]
            self.simulated += document.simulated
        self.documents += 1
        self.document_parts += len(cut.cuts)
        _count(self.foreign, self.encoder.foreign_tokens(document))
        _count(self.quoted, self.encoder.documents.quoted(document))

    def _keep(self, name: str, encoded: Encoded, place: float | None, source: Callable[[], Source]) -> None:
        position = len(self.tokens.lengths)
        self.tokens.add(encoded.ids, encoded.trained)
        if self.order in ("difficulty", "depth"):
            self.levels.append(place)
        self.draw.offer(lambda: Drawn(name, _short(source()), position))

    def _unfit(self, name: str, source: Source, unfit: Unfit) -> None:
        self.left_out.add(Skipped(name, unfit.reason, unfit.detail))
        self.draw.offer(lambda: Drawn(name, _short(source), None, unfit))


def _short(source: Source) -> Source:
    return tuple((role, middle_cut(text, LONGEST_TEXT, _AT_END)) for role, text in source)


def _count(counts: Counter[str], found: Iterable[str]) -> None:
    for text in sorted(found):
        if text in counts or len(counts) < _KINDS:
            counts[text] += 1


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
