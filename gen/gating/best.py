"""Keep the best of a family of duplicates: gates with memory are asked about the best record first, so what stays is never worse than
what is rejected for it.

Three passes. The first asks the gates without memory and writes what came of each row to the journal. The second goes through the rows by
preference, equal ones in the order of the input, and asks the gates with memory; it holds a number and two places per row, and of the rest
what those gates remember. The third reads the input again and writes each row, in the input's order, by its fate.

Compared with families joined through chains of likeness, of which one alone would stay, nothing is lost that resembles no record that was
kept; and every reject names the kept record that it resembles.
"""

from __future__ import annotations

import json
import math
from array import array
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Self

import numpy as np
import orjson

from gen.errors import InputError
from gen.files import json_line
from gen.gating.batches import OTHER, Position, batched, processes_for
from gen.gating.chain import Assessed, Findings, Memory
from gen.gating.crew import assessed
from gen.gating.job import Job
from gen.gating.packed import pack, unpack
from gen.records import Record, Unreadable
from gen.turns import part
from gen.types import Sample

KEEP = "first, longest or score:FIELD"
_WORST = -math.inf
_TELL_EVERY = 1000  # rows
_LARGEST = 1e308  # infinities have no form in JSON


@dataclass(frozen=True, slots=True)
class Preferring:
    """Which record of two is better: the one with the longer reply, or with more in a field of the input (`a.b` is b in a)."""

    path: tuple[str, ...] = ()

    @classmethod
    def of(cls, keep: str) -> Self | None:
        """What `--keep` says; None for `first`. Raises InputError for anything else than KEEP."""
        rule, colon, place = keep.partition(":")
        if keep == "first":
            return None
        if keep == "longest":
            return cls()
        if rule == "score" and colon and all(place.split(".")):
            return cls(tuple(place.split(".")))
        raise InputError(f"--keep {keep[:80]!r}: say {KEEP}")

    def value(self, record: Record) -> float:
        """The larger, the better; a record without the field is the worst."""
        if not self.path:
            return float(len(part(record.sample, "reply")))
        value: Any = record.fields
        for key in self.path:
            value = value.get(key) if isinstance(value, Mapping) else None
        if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
            return _WORST
        return float(max(-_LARGEST, min(_LARGEST, value)))


@dataclass(frozen=True, slots=True)
class _Index:
    """Where each row's entry begins in the journal, -1 for an unreadable row, and how good the row is."""

    places: array[int] = field(default_factory=lambda: array("q"))
    values: array[float] = field(default_factory=lambda: array("d"))

    def add(self, place: int, value: float) -> None:
        self.places.append(place)
        self.values.append(value)

    def best_first(self) -> Iterator[int]:
        """Numbers of the readable rows."""
        order = np.argsort(-np.asarray(self.values), kind="stable")
        places = np.asarray(self.places)
        return iter(order[places[order] >= 0].tolist())


def gate_best_first(job: Job, preferring: Preferring, assessments: str, decisions: str) -> int:
    """Decide on the rows by preference and write them in their order; the number of rows. `assessments` and `decisions` name two files of
    the journal that are filled on the way. Raises InputError where no record has the field that is preferred."""
    index = _assess(job, preferring, assessments)
    if preferring.path and len(index.values) and max(index.values) == _WORST:
        raise InputError(f"--keep score:{'.'.join(preferring.path)}: no record has a number there")
    with ExitStack() as stack:
        entries = stack.enter_context(job.journal.opened(assessments))
        late = _choose(job, index, entries, decisions)
        _write(job, index, entries, stack.enter_context(job.journal.opened(decisions)), late)
    return len(index.places)


@dataclass(frozen=True, slots=True)
class _Entry:
    """What the first pass found of a readable row. `sample` holds no messages where the gates with memory make fingerprints of all that
    they look at."""

    sample: Sample
    one: Assessed

    def line(self, value: float, *, whole: bool) -> bytes:
        """The entry in the journal: a line of JSON, then the fingerprints end to end."""
        one = self.one
        told = {
            "value": None if value == _WORST else value,
            "sample": pack(self.sample) if whole else self.sample.id,
            "failures": one.failures,
            "warnings": one.warnings,
            "replaced": one.replaced,
            "other": one.other,
            "sizes": [len(fingerprint) for fingerprint in one.fingerprints],
        }
        return json_line(told) + b"".join(one.fingerprints)

    @classmethod
    def read(cls, file: BinaryIO, place: int) -> Self:
        """The entry that begins at a place of the journal."""
        file.seek(place)
        told = _loads(file.readline())
        fingerprints = [file.read(size) for size in told["sizes"]]
        sample = Sample(told["sample"], ()) if isinstance(told["sample"], str) else unpack(told["sample"])
        return cls(sample, Assessed(told["failures"], told["warnings"], told["replaced"], told["other"], fingerprints))


_UNREADABLE = b"{}\n"


def _assess(job: Job, preferring: Preferring, name: str) -> _Index:
    """Ask the gates without memory about every row that an earlier start did not come to."""
    memory, journal, position = Memory(job.gates), job.journal, Position(job.sources)
    index, end = _found(job, name)
    skipped = bytes((OTHER,)) * len(index.places)
    batches, processes = processes_for(batched(job.items(), skipped), job.processes)
    for batch, results in assessed(batches, job.gates, processes):
        result = iter(results)
        for row in batch.rows:
            position.take(row.item)
            record = row.item.record
            if isinstance(record, Unreadable):
                place, value, line = -1, _WORST, _UNREADABLE
            else:
                one = next(result)
                sample = record.sample if one.replaced is None else unpack(one.replaced)
                place, value = end, preferring.value(record)
                line = _Entry(sample, one).line(value, whole=memory.needs_samples)
            journal.append(name, line)
            index.add(place, value)
            end += len(line)
        job.tell("gating", position.fraction, len(index.places))
        journal.save_now_and_then(len(index.places), dict)
    journal.save(len(index.places), {})
    return index


def _found(job: Job, name: str) -> tuple[_Index, int]:
    """The index of the entries that an earlier start wrote, and where they end."""
    index, end = _Index(), 0
    with job.journal.opened(name) as file:
        while line := file.readline():
            told = _loads(line)
            value = told.get("value")
            index.add(end if told else -1, _WORST if value is None else value)
            file.seek(sum(told.get("sizes", ())), 1)
            end = file.tell()
    return index, end


def _choose(job: Job, index: _Index, entries: BinaryIO, name: str) -> array[int]:
    """Ask the gates with memory, the best record first; where their findings of each row are written, -1 where there are none."""
    memory, late, end = Memory(job.gates), array("q", [-1]) * len(index.places), 0
    for done, number in enumerate(index.best_first() if memory else (), 1):
        entry = _Entry.read(entries, index.places[number])
        findings = memory.findings(entry.sample, entry.one.fingerprints)
        if any(findings):
            line = json_line(findings)
            job.journal.append(name, line)
            late[number], end = end, end + len(line)
        if not findings[0] and not entry.one.failures:
            memory.remember(entry.sample, entry.one.fingerprints)
        if done % _TELL_EVERY == 0:
            job.tell("choosing", done / len(late), done)
    return late


def _write(job: Job, index: _Index, entries: BinaryIO, decisions: BinaryIO, late: Sequence[int]) -> None:
    """Write each row by its fate, in the order of the input."""
    for number, item in enumerate(job.items()):
        if number >= len(late) or isinstance(item.record, Record) != (index.places[number] >= 0):
            raise InputError(f"{item.source.path} changed while it was read")
        if isinstance(item.record, Unreadable):
            job.write_unreadable(item, item.record)
        else:
            entry = _Entry.read(entries, index.places[number])
            job.write(item, item.record, entry.one, _read_findings(decisions, late[number]))
        if number % _TELL_EVERY == 0:
            job.tell("writing", number / len(late))


def _read_findings(file: BinaryIO, place: int) -> Findings:
    if place < 0:
        return [], []
    file.seek(place)
    failures, warnings = _loads(file.readline())
    return failures, warnings


def _loads(line: bytes) -> Any:
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:  # a lone surrogate
        return json.loads(line)
