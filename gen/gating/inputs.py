"""The data sets that go through the gates together: their names in messages, their records one after the other, what tells them apart."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gen.containers import is_hub
from gen.errors import InputError
from gen.records import Reading, Record, Unreadable, read_records
from gen.types import Provenance

_LONGEST_LABEL = 200  # characters


@dataclass(frozen=True, slots=True)
class Source:
    """A data set and what it is called in the output: its file's name, or the path as given where two have the same name."""

    path: Path
    label: str


@dataclass(frozen=True, slots=True)
class Item:
    """A row of a source; a readable one's sample is called SOURCE:ROW."""

    source: Source
    record: Record | Unreadable

    @property
    def place(self) -> str:
        return f"{self.source.label}:{self.record.line}"


def sources_of(paths: Sequence[Path]) -> list[Source]:
    """The data sets in the order given. Raises InputError where one is named twice."""
    names = [str(path) if is_hub(path) else path.name for path in paths]
    for place, path in enumerate(paths):
        if any(path == other or _same(path, other) for other in paths[:place]):
            raise InputError(f"{path} is named twice: every row of it would be a duplicate")
    return [Source(path, str(path) if names.count(name) > 1 else name) for path, name in zip(paths, names, strict=True)]


def items_of(sources: Sequence[Source], reading: Reading, *, labelled: bool = False) -> Iterator[Item]:
    """Every row of every source; `labelled` where gates look at the record's own labels, which then stand in the provenance as topic and
    notes. Raises InputError where a source as a whole cannot be read."""
    for source in sources:
        for record in read_records(source.path, reading):
            if isinstance(record, Unreadable):
                yield Item(source, record)
            else:
                origin = _labelled(record) if labelled else record.sample.provenance
                yield Item(source, replace(record, sample=replace(record.sample, id=f"{source.label}:{record.line}", provenance=origin)))


def identity(path: Path) -> list[Any]:
    """What changes when a data set does: of a file its size and time, of a folder those of its files; of the Hub's nothing is known."""
    if is_hub(path):
        return [str(path)]
    try:
        files = sorted(one for one in path.rglob("*") if one.is_file()) if path.is_dir() else [path]
        return [str(path.resolve()), *([one.name, (told := one.stat()).st_size, told.st_mtime_ns] for one in files)]
    except OSError as error:
        raise InputError(f"{path}: {(error.strerror or str(error)).lower()}") from error


def _labelled(record: Record) -> Provenance:
    """The provenance with the record's labels: short texts and numbers, also those that a run left under `provenance`."""
    told = record.fields.get("provenance")
    noted = told.get("notes") if isinstance(told, Mapping) else None
    notes = {
        name: value
        for fields in (noted if isinstance(noted, Mapping) else {}, record.fields)
        for name, value in fields.items()
        if isinstance(value, str | int | float) and len(str(value)) <= _LONGEST_LABEL
    }
    return replace(record.sample.provenance, topic=str(notes.get("topic", "")), notes=notes)


def _same(one: Path, other: Path) -> bool:
    return one.exists() and other.exists() and one.samefile(other)
