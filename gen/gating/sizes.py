"""How much a data set holds, told without reading it: what a bar of progress is measured against."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gen.containers import is_hub

_GZIP, _PARQUET = b"\x1f\x8b", b"PAR1"
_LINES = (".jsonl", ".ndjson")
_LARGEST_PACKED = 200 << 20  # bytes: gzip keeps the unpacked size modulo 4 GiB, and text may shrink to a twentieth


@dataclass(frozen=True, slots=True)
class Size:
    """`amount` of rows or of bytes of JSON Lines, in a file of `on_disk` bytes."""

    amount: int
    unit: Literal["rows", "bytes"]
    on_disk: int


def size_of(path: Path) -> Size | None:
    """The size of JSON Lines (plain, gzip) or Parquet; None of anything else, and of what cannot be read."""
    if is_hub(path) or not path.is_file():
        return None
    try:
        with path.open("rb") as file:
            start, on_disk = file.read(4), path.stat().st_size
            if start == _PARQUET:
                return Size(importlib.import_module("pyarrow.parquet").read_metadata(path).num_rows, "rows", on_disk)
            if not start.startswith(_GZIP):
                return Size(on_disk, "bytes", on_disk) if path.suffix.lower() in _LINES else None
            if on_disk > _LARGEST_PACKED or Path(path.stem).suffix.lower() not in _LINES:
                return None
            file.seek(-4, 2)
            return Size(int.from_bytes(file.read(4), "little"), "bytes", on_disk)
    except (OSError, ValueError):  # pyarrow's errors are of these kinds; whoever reads the file tells what is wrong with it
        return None
