"""How long the samples of a packed set are, read from its files a batch at a time."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.compute as pc  # type: ignore[import-untyped]

from gen.errors import StorageError


@dataclass(frozen=True, slots=True)
class PackedLengths:
    """Tokens of a sample under the template: lower median, 95th percentile, longest; zeros of an empty set."""

    median: int = 0
    p95: int = 0
    longest: int = 0


def lengths_in(folder: Path) -> PackedLengths:
    """The lengths of every sample in the Arrow files of a packed set: those in `seq_lengths`, or of `input_ids` where a row is one sample.

    Raises StorageError when a file cannot be read.
    """
    found = []
    for file in sorted(folder.glob("*.arrow")):
        try:
            with pa.memory_map(str(file)) as source, pa.ipc.open_stream(source) as batches:
                found += [_lengths(batch) for batch in batches]
        except (pa.ArrowException, OSError) as error:
            raise StorageError(f"{file}: {error}") from error
    every = np.sort(np.concatenate(found)) if found else np.zeros(0, np.int32)
    if not len(every):
        return PackedLengths()
    median, p95 = (int(every[int(share * (len(every) - 1))]) for share in (0.5, 0.95))
    return PackedLengths(median, p95, int(every[-1]))


def _lengths(batch: pa.RecordBatch) -> np.ndarray[tuple[int, ...], np.dtype[np.int32]]:
    if "seq_lengths" in batch.schema.names:
        return np.asarray(batch.column("seq_lengths").flatten(), np.int32)
    return np.asarray(pc.list_value_length(batch.column("input_ids")), np.int32)
