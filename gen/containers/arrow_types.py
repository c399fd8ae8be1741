"""Columns as exporters declare them (`"string"`, `["string"]`, `[{"role": "string"}]`) as Arrow types, and rows as batches of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa  # type: ignore[import-untyped]

from gen.containers.columns import holds_json
from gen.containers.rows import Row, Unreadable, plain, row_of
from gen.errors import InputError
from gen.files import json_line

BATCH_ROWS = 512
_TYPES = {"json": pa.string(), "string": pa.string(), "bool": pa.bool_(), "int64": pa.int64(), "float64": pa.float64()}


def schema_of(columns: Mapping[str, Any]) -> pa.Schema:
    """The table's schema."""
    return pa.schema([(name, _type(kind)) for name, kind in columns.items()])


def batches_of(rows: Iterable[Mapping[str, Any]], columns: Mapping[str, Any]) -> Iterator[pa.RecordBatch]:
    """The rows in batches; what a row lacks is null, what is declared as `json` is JSON text."""
    schema = schema_of(columns)
    source = (_with_text(row, columns) for row in rows) if holds_json(columns) else iter(rows)
    while held := list(islice(source, BATCH_ROWS)):
        yield pa.RecordBatch.from_pylist(held, schema=schema)


def rows_of(batches: Iterable[pa.RecordBatch], path: Path, start: int = 1) -> Iterator[Row | Unreadable]:
    """Each row of the batches, numbered from `start`. Raises InputError where the file turns out to be damaged."""
    number = start
    source = iter(batches)
    while True:
        try:
            batch = next(source, None)
        except (pa.ArrowException, OSError) as error:
            raise damaged(path, error) from error
        if batch is None:
            return
        for row in _rows(batch, number):
            yield row
            number += 1


def damaged(path: Path, error: Exception) -> InputError:
    """The error for a file that its library cannot read."""
    why = (error.strerror if isinstance(error, OSError) else None) or " ".join(str(error).split())[:200] or type(error).__name__
    return InputError(f"{path}: cannot be read: {why}")


def _rows(batch: pa.RecordBatch, number: int) -> Iterator[Row | Unreadable]:
    try:
        for place, row in enumerate(batch.to_pylist()):
            yield row_of(number + place, plain(row))
    except UnicodeDecodeError:
        if batch.num_rows == 1:
            yield Unreadable(number, "not_utf8", "a text of the row is not UTF-8")
            return
        for place in range(batch.num_rows):
            yield from _rows(batch.slice(place, 1), number + place)


def _with_text(value: Any, kind: Any) -> Any:
    if kind == "json":
        return value if value is None or isinstance(value, str) else json_line(value)[:-1].decode("utf-8")
    if isinstance(kind, Mapping) and value is not None:
        return {name: _with_text(value.get(name), inner) for name, inner in kind.items()}
    return [_with_text(one, kind[0]) for one in value] if isinstance(kind, list) and value is not None else value


def _type(kind: Any) -> pa.DataType:
    if isinstance(kind, str):
        return _TYPES[kind]
    if isinstance(kind, Mapping):
        return pa.struct([(name, _type(inner)) for name, inner in kind.items()])
    return pa.list_(_type(kind[0]))
