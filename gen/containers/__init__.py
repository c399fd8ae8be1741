"""The files that datasets come in, read and written row by row: JSON Lines, JSON arrays, Parquet, CSV, Arrow folders, and the Hub.

A container's module is loaded when a file of its kind is read or written, since their libraries are heavy. All have the same two
functions: `read(path)` yields `Row | Unreadable`, `write(path, rows, columns)` returns how many rows it wrote.
"""

from __future__ import annotations

import importlib
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from gen.containers.rows import Row, Unreadable
from gen.containers.shards import is_sharded, joined, shards_of, without_numbers
from gen.errors import InputError

HUB = "hub:"
WRITTEN = {"jsonl": ".jsonl", "json": ".json", "parquet": ".parquet", "csv": ".csv", "arrow": ""}  # container → ending of its files
ENDINGS = (".jsonl", ".ndjson", ".json", ".parquet", ".pq", ".csv", ".tsv", ".arrow", ".txt", ".md")
_PACKED = (".gz", ".zst")
_MODULES = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".csv": "csv_table",
    ".tsv": "csv_table",
    ".arrow": "arrow",
    ".txt": "plain_text",
    ".md": "plain_text",
}
_MAGIC = {b"PAR1": "parquet", b"ARRO": "arrow", b"\xff\xff\xff\xff": "arrow"}


def read_rows(path: Path) -> Iterator[Row | Unreadable]:
    """Every row of a dataset: a file told by its first bytes or else its ending (JSON Lines where neither says more), all its shards
    (`train-*-of-00003.parquet`), a folder of `datasets.save_to_disk`, or `hub:owner/name[/config][:split]`.

    Raises InputError when the dataset as a whole cannot be read.
    """
    if is_sharded(path):
        return _counted_through(shards_of(path))
    if is_hub(path):
        name = "hub"
    elif path.is_dir():
        if not is_saved_folder(path):
            raise InputError(f"{path} is a folder: name a file in it")
        name = "arrow"
    else:
        name = _MAGIC.get(_start(path)) or _MODULES.get(_ending(path), "jsonl")
    rows: Iterator[Row | Unreadable] = importlib.import_module(f"gen.containers.{name}").read(path)
    return rows


def write_rows(container: str, folder: Path, name: str, rows: Iterable[Mapping[str, Any]], columns: Mapping[str, Any]) -> int:
    """Write the rows as `folder`/`name` in one of WRITTEN, with `columns` as exporters declare them; the number of rows.

    Raises StorageError when it cannot be written; the file is whole or what it was before.
    """
    path = folder / f"{name}{WRITTEN[container]}"
    module = importlib.import_module(f"gen.containers.{ {'json': 'jsonl', 'csv': 'csv_table'}.get(container, container) }")
    count: int = (module.write_array if container == "json" else module.write)(path, rows, columns)
    return count


def remove_rows(folder: Path, name: str, keep: str = "") -> None:
    """Remove what `write_rows` wrote under this name in any container but `keep`; files of anybody else stay."""
    for container, ending in WRITTEN.items():
        path = folder / f"{name}{ending}"
        if container == keep:
            continue
        if container == "arrow":
            if is_saved_folder(path):
                shutil.rmtree(path, ignore_errors=True)
        elif container == "jsonl" or path.is_file():
            path.unlink(missing_ok=True)


def is_hub(path: Path) -> bool:
    """Whether the path is the name of a dataset on the Hub."""
    return str(path).startswith(HUB)


def is_saved_folder(path: Path) -> bool:
    """Whether the path is a folder that `datasets.save_to_disk` wrote."""
    return (path / "state.json").is_file() or (path / "dataset_dict.json").is_file()


def is_dataset(path: Path) -> bool:
    """Whether `read_rows` takes the path: anything but a folder that holds no saved dataset."""
    return is_hub(path) or not path.is_dir() or is_saved_folder(path)


def files_of(path: Path) -> list[Path]:
    """The files that a dataset on this machine is in: itself, its shards, or those in a saved folder."""
    if is_sharded(path):
        return shards_of(path)
    return sorted(file for file in path.iterdir() if file.is_file()) if is_saved_folder(path) else [path]


def split_files(folder: Path, splits: Iterable[str]) -> list[tuple[str, Path]]:
    """The dataset of each split that a folder has, or else the folder `data` in it, or else a folder of each split's name, in that order:
    `train.jsonl.gz`, `test.parquet`, `validation/` as Arrow, `train-*-of-00003.parquet` for shards.

    Raises InputError where two datasets are named for one split.
    """
    wanted = list(splits)
    found = _splits_in(folder, wanted) or _splits_in(folder / "data", wanted)
    return found or [one for split in wanted for one in _splits_in(folder / split, [split])]


def stem_of(path: Path) -> str:
    """A dataset's name without its endings: `train` of `train.jsonl.gz`, `gsm8k` of `hub:openai/gsm8k/main:train`."""
    if is_hub(path):
        return str(path).removeprefix(HUB).partition(":")[0].split("/")[:2][-1] or "dataset"
    name = without_numbers(path.name) if is_sharded(path) else path.name
    for packed in _PACKED:
        name = name.removesuffix(packed) or name
    for ending in ENDINGS:
        name = name.removesuffix(ending) or name
    return name or "dataset"


def _splits_in(folder: Path, splits: Iterable[str]) -> list[tuple[str, Path]]:
    try:
        datasets = joined(sorted(folder.iterdir())) if folder.is_dir() else []
    except OSError as error:
        raise InputError(f"{folder}: {(error.strerror or str(error)).lower()}") from error
    found = []
    for split in splits:
        names = {f"{split}{ending}{packed}" for ending in ENDINGS[:8] for packed in ("", *_PACKED)}
        own = [path for path in datasets if without_numbers(path.name) in names and (is_sharded(path) or path.is_file())]
        own += [folder / split] if (folder / split / "state.json").is_file() else []
        if len(own) > 1:
            both = " and ".join(path.name for path in own[:2])
            raise InputError(f"{folder}: {both} are both named for the split {split}: take one of them away, or name the file to read")
        found += [(split, path) for path in own]
    return found


def _counted_through(files: Iterable[Path]) -> Iterator[Row | Unreadable]:
    """The rows of several files, counted as if they were one."""
    before = 0
    for file in files:
        last = 0
        for row in read_rows(file):
            last = row.line
            yield replace(row, line=before + last)
        before += last


def _ending(path: Path) -> str:
    name = path.name.lower()
    for packed in _PACKED:
        name = name.removesuffix(packed)
    return Path(name).suffix


def _start(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(4)
    except OSError as error:
        raise InputError(f"{path}: {(error.strerror or str(error)).lower()}") from error
