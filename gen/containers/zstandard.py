"""Zstandard streams, by the codec that PyArrow brings along."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

import pyarrow as pa  # type: ignore[import-untyped]


class _Unpacked(io.RawIOBase):
    """A PyArrow stream as Python's buffered reader wants it."""

    def __init__(self, stream: pa.CompressedInputStream) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        found = self._stream.read(len(buffer))
        buffer[: len(found)] = found
        return len(found)


@contextmanager
def unpacked(file: IO[bytes]) -> Iterator[io.RawIOBase]:
    """The stream unpacked. A broken one raises OSError, a cut one EOFError."""
    with pa.CompressedInputStream(pa.PythonFile(file, mode="r"), "zstd") as stream:
        yield _Unpacked(stream)
