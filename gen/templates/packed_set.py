"""Packed rows on disk: tokens wait in two flat files until all lengths are known, then rows are written as Arrow in shards.

Memory stays flat whatever the number of tokens: what is held is eight bytes per sample and one batch of rows. The folder is what
`datasets.load_from_disk` reads, written without anything that changes between runs (its own writer puts a random fingerprint in).

Columns of a packed row, all lists of int32: `input_ids`; `labels`, −100 where nothing is trained and on each sample's first token, whose
prediction would look across the boundary; `seq_lengths`, which TRL reads; `position_ids`, restarting at 0 with each sample, which
transformers reads when no attention mask is given. An attention mask of all ones would hide the boundaries, so a packed row has none.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]
from numpy.typing import NDArray

Layout = Literal["packed", "padded", "examples"]
Column = list[NDArray[np.int32]]

COLUMNS: dict[Layout, tuple[str, ...]] = {
    "packed": ("input_ids", "labels", "seq_lengths", "position_ids"),
    "padded": ("input_ids", "labels", "seq_lengths", "position_ids", "attention_mask"),
    "examples": ("input_ids", "attention_mask", "labels"),
}
IGNORED = -100  # the label that cross-entropy leaves out, in PyTorch and every trainer built on it
_BATCH_TOKENS = 1 << 18  # per record batch: a few MB
_SHARD_TOKENS = 1 << 25  # per shard file: about 400 MB


@dataclass(slots=True)
class TokenFile:
    """Samples' ids and masks, one after the other, in `folder`. Write with `add`, read with `sample` once `close` was called."""

    folder: Path
    lengths: list[int] = field(default_factory=list)
    trained: int = 0
    _ids: BinaryIO = field(init=False, repr=False)
    _mask: BinaryIO = field(init=False, repr=False)
    _starts: NDArray[np.int64] = field(init=False, repr=False)
    _read_ids: NDArray[np.int32] = field(init=False, repr=False)
    _read_mask: NDArray[np.bool_] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._ids = (self.folder / "ids").open("wb", buffering=1 << 20)
        self._mask = (self.folder / "mask").open("wb", buffering=1 << 20)

    def add(self, ids: NDArray[np.int32], trained: NDArray[np.bool_]) -> None:
        """Append one sample, of at least one token."""
        self._ids.write(ids.tobytes())
        self._mask.write(trained.tobytes())
        self.lengths.append(len(ids))
        self.trained += int(np.count_nonzero(trained[1:]))

    def close(self) -> None:
        """End writing."""
        self._ids.close()
        self._mask.close()
        self._starts = np.concatenate(([0], np.cumsum(self.lengths, dtype=np.int64)))
        if self.lengths:
            self._read_ids = np.memmap(self.folder / "ids", np.int32, "r")
            self._read_mask = np.memmap(self.folder / "mask", np.bool_, "r")

    def sample(self, position: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Ids and labels of one sample."""
        start, end = self._starts[position], self._starts[position + 1]
        ids = np.asarray(self._read_ids[start:end])
        labels = np.where(self._read_mask[start:end], ids, np.int32(IGNORED)).astype(np.int32)
        labels[0] = IGNORED
        return ids, labels


def rows(tokens: TokenFile, members: Sequence[NDArray[np.int64]], layout: Layout, max_length: int, pad_id: int) -> Iterator[Column]:
    """Each row as its columns, in the order of COLUMNS[layout]; `members` says which samples share a row."""
    for row in members:
        parts = [tokens.sample(int(position)) for position in row]
        ids, labels = (np.concatenate(column) for column in zip(*parts, strict=True))
        if layout == "examples":
            yield [ids, np.ones(len(ids), np.int32), labels]
            continue
        lengths = [len(part[0]) for part in parts]
        numbers = np.repeat(np.arange(1, len(lengths) + 1, dtype=np.int32), lengths)
        padding = max_length - len(ids) if layout == "padded" else 0
        if padding:
            ids, labels, numbers = (
                np.concatenate((column, np.full(padding, filler, np.int32)))
                for column, filler in ((ids, pad_id), (labels, IGNORED), (numbers, 0))
            )
            lengths.append(padding)
        positions = np.concatenate([np.arange(length, dtype=np.int32) for length in lengths])
        columns = [ids, labels, np.array(lengths, np.int32), positions]
        yield [*columns, numbers] if layout == "padded" else columns


def write_set(folder: Path, columns: Sequence[str], made: Iterator[Column], total_tokens: int) -> None:
    """Write rows as a folder for `datasets.load_from_disk`. `total_tokens` decides the number of shards beforehand."""
    shards = max(1, -(-total_tokens // _SHARD_TOKENS))
    schema = _schema(columns)
    names = [f"data-{shard:05d}-of-{shards:05d}.arrow" for shard in range(shards)]
    fingerprint = hashlib.sha256(" ".join(columns).encode())
    batches = _batches(made, schema, fingerprint)
    written = 0
    for shard, name in enumerate(names):
        with pa.OSFile(str(folder / name), "wb") as sink, pa.ipc.new_stream(sink, schema) as writer:
            last = shard == shards - 1
            while last or written < (shard + 1) * _SHARD_TOKENS:
                batch = next(batches, None)
                if batch is None:
                    break
                writer.write_batch(batch)
                written += len(batch.column(0).values)
    state: dict[str, object] = {
        "_data_files": [{"filename": name} for name in names],
        "_fingerprint": fingerprint.hexdigest()[:16],
        "_format_columns": None,
        "_format_kwargs": {},
        "_format_type": None,
        "_output_all_columns": False,
        "_split": "train",
    }
    information = {"citation": "", "description": "", "features": _features(columns), "homepage": "", "license": ""}
    for name, value in (("state.json", state), ("dataset_info.json", information)):
        (folder / name).write_text(json.dumps(value, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _batches(made: Iterator[Column], schema: pa.Schema, fingerprint: hashlib._Hash) -> Iterator[pa.RecordBatch]:
    held: list[Column] = []
    tokens = 0
    for row in made:
        held.append(row)
        tokens += len(row[0])
        if tokens >= _BATCH_TOKENS:
            yield _batch(held, schema, fingerprint)
            held, tokens = [], 0
    if held:
        yield _batch(held, schema, fingerprint)


def _batch(held: list[Column], schema: pa.Schema, fingerprint: hashlib._Hash) -> pa.RecordBatch:
    arrays = []
    for column in zip(*held, strict=True):
        values = np.concatenate(column)
        fingerprint.update(values.tobytes())
        offsets = np.concatenate(([0], np.cumsum([len(item) for item in column]))).astype(np.int32)
        arrays.append(pa.ListArray.from_arrays(pa.array(offsets), pa.array(values)))
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _features(columns: Sequence[str]) -> dict[str, object]:
    """As `datasets` names types; `Sequence` is read by every version, its new name `List` only since 4.0."""
    return {name: {"_type": "Sequence", "feature": {"_type": "Value", "dtype": "int32"}} for name in columns}


def _schema(columns: Sequence[str]) -> pa.Schema:
    known = json.dumps({"info": {"features": _features(columns)}}, sort_keys=True)
    return pa.schema([(name, pa.list_(pa.int32())) for name in columns], metadata={"huggingface": known})
