"""Arrow files, and the folders that `datasets.save_to_disk` writes and `datasets.load_from_disk` reads."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa  # type: ignore[import-untyped]

from gen.containers.arrow_types import batches_of, damaged, rows_of, schema_of
from gen.containers.rows import Row, Unreadable
from gen.errors import InputError
from gen.whole_folder import replacing_folder

STATE, SPLITS = "state.json", "dataset_dict.json"
_SHARD, _INFO = "data-00000-of-00001.arrow", "dataset_info.json"
SAVED_FILES = (_SHARD, STATE, _INFO)  # what `write` writes


def read(path: Path) -> Iterator[Row | Unreadable]:
    """Every row of an Arrow file, or of all files of a saved folder in their order, numbered from 1.

    Raises InputError when it cannot be read, or is a folder of several splits.
    """
    number = 1
    for file in _files(path) if path.is_dir() else [path]:
        for row in _read(file, number):
            yield row
            number += 1


def write(path: Path, rows: Iterable[Mapping[str, Any]], columns: Mapping[str, Any]) -> int:
    """A folder for `datasets.load_from_disk`, with the columns as declared and nothing in it that changes between runs; the number of
    rows. The caller makes sure that an earlier folder may go."""
    schema, count, fingerprint = schema_of(columns), 0, hashlib.sha256()
    with replacing_folder(path) as folder:
        with pa.OSFile(str(folder / _SHARD), "wb") as sink, pa.ipc.new_stream(sink, schema) as writer:
            for batch in batches_of(rows, columns):
                writer.write_batch(batch)
                count += batch.num_rows
        with (folder / _SHARD).open("rb") as written:
            fingerprint = hashlib.file_digest(written, "sha256")
        state: dict[str, object] = {
            "_data_files": [{"filename": _SHARD}],
            "_fingerprint": fingerprint.hexdigest()[:16],
            "_format_columns": None,
            "_format_kwargs": {},
            "_format_type": None,
            "_output_all_columns": False,
            "_split": path.name,
        }
        for name, value in ((STATE, state), (_INFO, {"citation": "", "description": "", "homepage": "", "license": ""})):
            (folder / name).write_text(json.dumps(value, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    return count


def _files(folder: Path) -> list[Path]:
    try:
        if (folder / SPLITS).is_file():
            splits = json.loads((folder / SPLITS).read_text(encoding="utf-8"))["splits"]
            raise InputError(f"{folder} holds several splits: name one of its folders ({', '.join(map(str, splits))})")
        names = [one["filename"] for one in json.loads((folder / STATE).read_text(encoding="utf-8"))["_data_files"]]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{folder / STATE}: not as datasets.save_to_disk writes it") from error
    except OSError as error:
        raise damaged(folder, error) from error
    if any(Path(str(name)).name != name for name in names):
        raise InputError(f"{folder / STATE}: names a file outside of its folder")
    return [folder / name for name in names]


def _read(file: Path, number: int) -> Iterator[Row | Unreadable]:
    try:
        with pa.memory_map(str(file)) as source:
            try:
                reader = pa.ipc.open_stream(source)
            except pa.ArrowInvalid:  # not a stream: the format with a footer
                source.seek(0)
                stored = pa.ipc.open_file(source)
                yield from rows_of((stored.get_batch(at) for at in range(stored.num_record_batches)), file, number)
            else:
                yield from rows_of(reader, file, number)
    except (pa.ArrowException, OSError) as error:
        raise damaged(file, error) from error
