"""Parquet files, a batch of rows at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]

from gen.containers.arrow_types import BATCH_ROWS, batches_of, damaged, rows_of, schema_of
from gen.containers.rows import Row, Unreadable
from gen.files import replacing


def read(path: Path) -> Iterator[Row | Unreadable]:
    """Every row, numbered from 1. Raises InputError when it is no Parquet or damaged."""
    try:
        with pq.ParquetFile(path) as file:
            yield from rows_of(file.iter_batches(batch_size=BATCH_ROWS), path)
    except (pa.ArrowException, OSError) as error:
        raise damaged(path, error) from error


def write(path: Path, rows: Iterable[Mapping[str, Any]], columns: Mapping[str, Any]) -> int:
    """A Parquet file with the columns as declared, Zstandard inside; the number of rows."""
    schema, count = schema_of(columns), 0
    with replacing(path) as file, pq.ParquetWriter(file, schema, compression="zstd") as writer:
        for batch in batches_of(rows, columns):
            writer.write_batch(batch)
            count += batch.num_rows
    return count
