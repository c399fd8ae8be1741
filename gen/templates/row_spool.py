"""Rows that wait on disk until they are written or told: there may be as many as there are samples."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import IO, Any

from gen.conversation import Skipped
from gen.files import json_line

_IN_MEMORY = 1 << 20  # bytes


def _unnamed() -> IO[bytes]:
    return tempfile.SpooledTemporaryFile(_IN_MEMORY)


@dataclass
class RowSpool:
    """JSON objects in the order they came, in memory while they are few. Add all, then go through them as often as need be."""

    count: int = 0
    _file: IO[bytes] = field(default_factory=_unnamed, repr=False)

    def add(self, row: Mapping[str, Any]) -> None:
        """One more."""
        self._file.write(json_line(row))
        self.count += 1

    def __iter__(self) -> Iterator[dict[str, Any]]:
        self._file.seek(0)
        yield from map(json.loads, self._file)

    def clear(self) -> None:
        """Begin anew."""
        self._file.seek(0)
        self._file.truncate()
        self.count = 0

    def close(self) -> None:
        """Give the disk back."""
        self._file.close()


@dataclass
class LeftOut:
    """Samples that were left out: how many by reason, the first, and all of them as `rows`."""

    rows: RowSpool = field(default_factory=RowSpool)
    reasons: Counter[str] = field(default_factory=Counter)
    first: Skipped | None = None

    def add(self, skipped: Skipped) -> None:
        """One more."""
        self.first = self.first or skipped
        self.reasons[skipped.reason] += 1
        self.rows.add(asdict(skipped))

    def __iter__(self) -> Iterator[Skipped]:
        return (Skipped(**row) for row in self.rows)

    def close(self) -> None:
        """Give the disk back."""
        self.rows.close()
