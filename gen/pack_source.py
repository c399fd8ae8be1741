"""Where the samples of a packed set come from: a run's accepted samples in one of its splits, or any dataset in a file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from gen.errors import InputError
from gen.ledger import Ledger
from gen.outputs import split_samples
from gen.recipe import SPLITS, parse
from gen.records import AUTOMATIC, Reading, Unreadable, read_records
from gen.types import Sample, Score

EVERY_SPLIT = "all"


@dataclass
class DatasetFile:
    """A dataset in any layout and container that gen.records reads. `unreadable` is filled while `samples` goes through it."""

    path: Path
    reading: Reading = AUTOMATIC
    unreadable: list[Unreadable] = field(default_factory=list)

    def samples(self) -> Iterator[Sample]:
        """Each readable line as a sample named `line N`; one that says that it is simulated is marked so. What no conversation can be
        learnt from counts as unreadable: `no_turns` (a plain text), `undesired` (an answer labelled so), `pair`.

        Raises InputError when the file as a whole cannot be read.
        """
        self.unreadable.clear()
        for record in read_records(self.path, self.reading):
            if isinstance(record, Unreadable):
                self.unreadable.append(record)
            elif record.untrainable[0]:
                self.unreadable.append(Unreadable(record.line, *record.untrainable))
            else:
                yield _with_levels(record.sample, record.fields)


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
