"""Read the datasets of a mix: each record of any shape as a conversation with a name of its own, and what cannot be used by reason."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from gen import plugins
from gen.containers import files_of, is_dataset, is_hub, split_files
from gen.errors import InputError
from gen.formats import training_folder
from gen.mixing.file import DatasetLine, MixFile
from gen.recipe import SPLITS
from gen.records import Record, Unreadable, read_records, reading_of
from gen.simulated import of_simulated_run
from gen.types import Provenance, Sample

_LONGEST_ID = 80  # characters of a record's own id that are kept
_LINES_NAMED = 10


@dataclass(frozen=True, slots=True)
class Item:
    """One usable record. `pinned` is the split that it must stay in, empty where it may go anywhere."""

    sample: Sample
    dataset: str
    pinned: str = ""

    @property
    def simulated(self) -> bool:
        return self.sample.provenance.simulated


@dataclass(slots=True)
class Dataset:
    """One dataset as read: `files` are (name, SHA-256); `left_out` counts records that no trainer could use, by reason."""

    name: str
    line: DatasetLine
    items: list[Item] = field(default_factory=list)
    files: list[tuple[str, str]] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    unreadable: int = 0
    unreadable_lines: list[str] = field(default_factory=list)


def read_datasets(mix: MixFile, progress: Callable[[str, int], None]) -> list[Dataset]:
    """Every dataset of the mix, in its order.

    Raises RecipeError with the line of the dataset when there is none at its path, it cannot be read or holds nothing usable.
    """
    found = []
    for name, line in mix.config.datasets.items():
        try:
            dataset = _read(name, line, mix, progress)
        except InputError as error:
            raise mix.error(("datasets", name, "path"), error) from error
        if not dataset.items:
            reasons = dataset.left_out + Counter(unreadable=dataset.unreadable)
            why = ", ".join(f"{reason} {count}" for reason, count in reasons.most_common()) or "it is empty"
            raise mix.error(("datasets", name, "path"), f"no usable record in {line.path} ({why})")
        found.append(dataset)
    return found


def _read(name: str, line: DatasetLine, mix: MixFile, progress: Callable[[str, int], None]) -> Dataset:
    dataset = Dataset(name, line)
    usable, reading = plugins.build("gates", "schema", {}), reading_of(line.layout, line.columns)
    place = Path(line.path) if is_hub(Path(line.path)) else mix.folder / line.path
    simulated, seen = not is_hub(place) and of_simulated_run(place), set[str]()
    for split, path in _files(place, line):
        dataset.files.append((path.name, _sha256(path)))
        pinned = split if line.split is None else "" if line.split == "anew" else line.split
        for record in read_records(path, reading):
            if isinstance(record, Unreadable):
                dataset.unreadable += 1
                dataset.unreadable_lines += [f"{path.name}:{record.line}"] if len(dataset.unreadable_lines) < _LINES_NAMED else []
                continue
            if record.untrainable[0]:
                dataset.left_out[record.untrainable[0]] += 1
                continue
            verdict = usable.check(record.sample)
            if not verdict.keep:
                dataset.left_out[verdict.reason] += 1
                continue
            sample = _named(record, f"{name}/{split}" if split else name, seen, mix.config.split.by, simulated=simulated)
            dataset.items.append(Item(sample, name, pinned))
            if len(dataset.items) % 1000 == 0:
                progress(name, len(dataset.items))
    return dataset


def _files(path: Path, line: DatasetLine) -> list[tuple[str, Path]]:
    """(split, file) of a dataset; no split for a file by itself."""
    if not is_hub(path) and not path.exists():
        raise InputError(f"no such file or folder: {path}")
    if is_dataset(path):
        return [("", path)]
    folder = training_folder(path) if (path / "run.db").is_file() else path
    files = split_files(folder, SPLITS)
    if not files:
        raise InputError(f"{folder} holds no train.jsonl, validation.jsonl or test.jsonl: name a file in it")
    if line.split not in (None, "anew"):
        raise InputError(f"{path} is a folder whose files name their splits: leave 'split: {line.split}' out, or say 'split: anew'")
    return files


def _named(record: Record, prefix: str, seen: set[str], by: str, *, simulated: bool) -> Sample:
    """The sample under a name that tells where it comes from: the record's own id where that is unique, else its line."""
    own = record.fields.get("id")
    usable = isinstance(own, int) or (isinstance(own, str) and 0 < len(own) <= _LONGEST_ID and own.isprintable())
    name = f"{prefix}/{own}" if usable and not isinstance(own, bool) else f"{prefix}/{record.line}"
    name = f"{name}#{record.line}" if name in seen else name
    seen.add(name)
    value = record.fields.get(by)
    text = str(value) if isinstance(value, str | int) else ""
    provenance = Provenance(
        topic=text if by == "topic" else "",
        strategy=text if by == "strategy" else "",
        model=text if by == "model" else "",
        simulated=simulated or record.sample.provenance.simulated,
        notes={by: text} if text else {},
    )
    return replace(record.sample, id=name, provenance=provenance)


def _sha256(path: Path) -> str:
    if is_hub(path):
        return ""
    files = files_of(path)
    if files != [path]:
        return hashlib.sha256("".join(map(_sha256, files)).encode()).hexdigest()
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"{path}: {(error.strerror or str(error)).lower()}") from error
