"""A dataset in several files, named as `datasets` and the Hub name them: `train-00000-of-00003.parquet`.

All of them together are one path, `train-*-of-00003.parquet`, which is read as one dataset, its rows counted through.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from gen.errors import InputError

_SHARD = re.compile(r"(?P<stem>.{1,200})-\d{4,6}-of-(?P<count>\d{4,6})(?P<ending>\.[\w.]{1,20})", re.DOTALL)
_ALL = re.compile(r"(?P<stem>.{1,200})-\*-of-(?P<count>\d{4,6})(?P<ending>\.[\w.]{1,20})", re.DOTALL)


def joined(files: Iterable[Path]) -> list[Path]:
    """The files in their order, those that are shards of one dataset as the one path of all.

    >>> [path.name for path in joined(map(Path, ("test.csv", "train-00000-of-00002.csv", "train-00001-of-00002.csv")))]
    ['test.csv', 'train-*-of-00002.csv']
    """
    return list(dict.fromkeys(_whole(file) for file in files))


def is_sharded(path: Path) -> bool:
    """Whether the path is that of all shards of a dataset."""
    return _ALL.fullmatch(path.name) is not None and not path.exists()


def shards_of(path: Path) -> list[Path]:
    """The files behind a path of `joined`, in their order. Raises InputError where one of them is missing."""
    parts = _ALL.fullmatch(path.name)
    if parts is None:
        return [path]
    count, width = int(parts["count"]), len(parts["count"])
    found = []
    for number in range(count):
        file = path.with_name(f"{parts['stem']}-{number:0{width}}-of-{parts['count']}{parts['ending']}")
        if not file.is_file():
            raise InputError(f"{file} is missing, one of {count} files that are one dataset: fetch it, or name the others one by one")
        found.append(file)
    return found


def without_numbers(name: str) -> str:
    """A file's name as one that is no shard would have it: `train.parquet` of `train-*-of-00003.parquet`, or of one of those."""
    parts = _ALL.fullmatch(name) or _SHARD.fullmatch(name)
    return f"{parts['stem']}{parts['ending']}" if parts else name


def _whole(file: Path) -> Path:
    parts = _SHARD.fullmatch(file.name)
    return file.with_name(f"{parts['stem']}-*-of-{parts['count']}{parts['ending']}") if parts else file
