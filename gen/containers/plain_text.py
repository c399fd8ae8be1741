"""A text file as one record: its whole text."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from gen.containers.rows import MAX_ROW_BYTES, Row, Unreadable, row_of
from gen.containers.streams import opened


def read(path: Path) -> Iterator[Row | Unreadable]:
    """One row, `{"text": …}`; none where the file is blank. Raises InputError when it cannot be read."""
    with opened(path) as stream:
        found = stream.read(MAX_ROW_BYTES + 1)
    if len(found) > MAX_ROW_BYTES:
        yield Unreadable(1, "too_long", f"more than {MAX_ROW_BYTES} bytes")
        return
    try:
        text = found.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        yield Unreadable(1, "not_utf8", f"byte {error.start + 1} of the file is not UTF-8")
        return
    if text.strip():
        yield row_of(1, {"text": text})
