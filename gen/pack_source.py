"""Where the samples of a packed set come from: a run's accepted samples in one of its splits, or any dataset in a file."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from gen.errors import InputError
from gen.ledger import Ledger
from gen.outputs import split_samples
from gen.recipe import SPLITS, parse
from gen.records import AUTOMATIC, Reading, Unreadable, read_records
from gen.templates.documents import Document
from gen.templates.item_encoder import Item
from gen.templates.row_spool import RowSpool
from gen.types import Sample, Score

EVERY_SPLIT = "all"
LINES_NAMED = 10


@dataclass
class UnreadableLines:
    """Lines that hold nothing to be packed: their numbers, the first few, and all of them as `rows` on disk."""

    lines: array[int] = field(default_factory=lambda: array("q"))
    first: list[Unreadable] = field(default_factory=list)
    rows: RowSpool = field(default_factory=RowSpool)

    def add(self, line: Unreadable) -> None:
        """One more."""
        self.lines.append(line.line)
        if len(self.first) < LINES_NAMED:
            self.first.append(line)
        self.rows.add(asdict(line))

    def clear(self) -> None:
        """Begin anew."""
        del self.lines[:], self.first[:]
        self.rows.clear()


@dataclass
class DatasetFile:
    """A dataset in any layout and container that gen.records reads. `unreadable` is filled while `samples` goes through it."""

    path: Path
    reading: Reading = AUTOMATIC
    unreadable: UnreadableLines = field(default_factory=UnreadableLines)

    def samples(self) -> Iterator[Item]:
        """Each readable line as what it is, named `line N`: a sample, or a text without turns as a document; one that says that it is
        simulated is marked so. What nothing can be learnt from counts as unreadable: `undesired` (an answer labelled so), `pair`.

        Raises InputError when the file as a whole cannot be read.
        """
        self.unreadable.clear()
        for record in read_records(self.path, self.reading):
            if isinstance(record, Unreadable):
                self.unreadable.add(record)
            elif record.is_text:
                sample = record.sample
                yield Document(sample.id, sample.messages[0].content, sample.provenance.simulated)
            elif record.untrainable[0]:
                self.unreadable.add(Unreadable(record.line, *record.untrainable))
            else:
                yield _with_levels(record.sample, record.fields)

    def close(self) -> None:
        """The list of unreadable lines is gone from now on."""
        self.unreadable.rows.close()


def _with_levels(sample: Sample, fields: Mapping[str, Any]) -> Sample:
    """The sample with the scores and notes that a line of accepted.jsonl holds, which rows may be ordered by."""
    scores, source = fields.get("scores"), fields.get("provenance")
    notes = source.get("notes") if isinstance(source, Mapping) else None
    if isinstance(scores, Mapping):
        numbers = {str(name): value for name, value in scores.items() if isinstance(value, int | float) and not isinstance(value, bool)}
        sample = replace(sample, scores={name: Score(float(value)) for name, value in numbers.items()})
    if isinstance(notes, Mapping):
        sample = replace(sample, provenance=replace(sample.provenance, notes=notes))
    return sample


def run_samples(ledger: Ledger, run: Path, split: str) -> list[Sample]:
    """The accepted samples of a run in plan order, those of one split or `all`, as its exported files have them.

    Raises InputError when the run has no sample there.
    """
    samples = [outcome.item for outcome in ledger.outcomes() if outcome.accepted and isinstance(outcome.item, Sample)]
    if not samples:
        raise InputError(f"{run} has no accepted sample: there is nothing to pack")
    if split == EVERY_SPLIT:
        return samples
    of = ledger.splits()
    if any(sample.id not in of for sample in samples):  # an unfinished run: its test split is not locked yet, its files are as these
        assigned, _ = split_samples(samples, parse(ledger.fact("recipe"), run / "recipe.yaml"), ledger)
        of = dict(assigned.of)
    chosen = [sample for sample in samples if of[sample.id] == split]
    if not chosen:
        filled = ", ".join(f"{name} {sum(of[sample.id] == name for sample in samples)}" for name in SPLITS)
        raise InputError(f"{run} has no sample in the split '{split}' ({filled}): choose another with --split, or all")
    return chosen
