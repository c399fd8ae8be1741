"""What is audited: files as they are named, the splits of a folder, the training files of a run."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from gen.containers import is_dataset, is_hub, split_files, stem_of
from gen.containers.shards import is_sharded, joined
from gen.errors import InputError
from gen.formats import training_folder
from gen.recipe import SPLITS
from gen.records import AUTOMATIC, Reading

MAX_FILES = 64
_ENDINGS = (".jsonl", ".ndjson", ".parquet", ".pq", ".csv", ".tsv", ".arrow")  # .json is a dataset's description as often as a dataset
_LISTS = ("left-out.jsonl", "unreadable.jsonl", "rejected.jsonl", "warnings.jsonl")  # as `sluice export` and `sluice gate` write them
_UNPACKED = re.compile(r"\.(?:gz|zst)$")


@dataclass(frozen=True, slots=True)
class Target:
    """One file under the name that the audit uses for it: its split in a folder, else its own without the ending; `reading` says how to
    read it."""

    name: str
    path: Path
    reading: Reading = AUTOMATIC


class Place(NamedTuple):
    """A line of a target, from 1."""

    target: int
    line: int


def targets_of(paths: Sequence[Path], reading: Reading = AUTOMATIC) -> list[Target]:
    """The files to audit, each once.

    Of a folder: train, validation and test where it has them, else every dataset in it. Raises InputError for what is not there, and for
    a folder without any.
    """
    found: list[Target] = []
    for path in paths:
        found += [_of_file(path)] if is_dataset(path) else _of_folder(path)
    found = list({target.path.resolve(): target for target in found}.values())
    if len(found) > MAX_FILES:
        raise InputError(f"{len(found)} files: at most {MAX_FILES} are audited at once")
    names = Counter(target.name for target in found)
    return [Target(target.name if names[target.name] == 1 else str(target.path), target.path, reading) for target in found]


def place_text(place: Place, targets: Sequence[Target]) -> str:
    """`line 12`, or `train:12` where several files are audited."""
    return f"line {place.line}" if len(targets) == 1 else f"{targets[place.target].name}:{place.line}"


def _of_file(path: Path) -> Target:
    if not is_hub(path) and not is_sharded(path) and not path.exists():
        raise InputError(f"no such file or folder: {path}")
    return Target(stem_of(path), path)


def _of_folder(path: Path) -> list[Target]:
    folder = training_folder(path) if (path / "run.db").is_file() else path
    found = [Target(split, file) for split, file in split_files(folder, SPLITS)]
    return found or [Target(stem_of(file), file) for file in _datasets_in(folder)]


def _datasets_in(folder: Path) -> list[Path]:
    """Every dataset right in the folder, by name: files with a dataset's ending, and folders that `datasets.save_to_disk` wrote. Lists of
    what did not get into a dataset are none."""
    try:
        files = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise InputError(f"{folder}: {(error.strerror or str(error)).lower()}") from error
    found = joined(path for path in files if (is_dataset(path) if path.is_dir() else _is_data(path)))
    if not found:
        raise InputError(f"{folder} holds no dataset: name a file with one of the endings {', '.join(_ENDINGS)}")
    return found


def _is_data(path: Path) -> bool:
    return path.is_file() and path.name not in _LISTS and _UNPACKED.sub("", path.name.lower()).endswith(_ENDINGS)
