"""Open a file as a stream of bytes: plain, gzip or Zstandard, told by its first bytes and not by its name."""

from __future__ import annotations

import gzip
import importlib
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, cast

from gen.errors import InputError

_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_UTF16_BOMS = (b"\xff\xfe", b"\xfe\xff")
_BUFFER = 1 << 20


class Stream(Protocol):
    """Bytes that can be looked at before they are read."""

    def peek(self, count: int = 0, /) -> bytes: ...

    def read(self, count: int = -1, /) -> bytes: ...

    def readline(self, limit: int = -1, /) -> bytes: ...


@contextmanager
def opened(path: Path) -> Iterator[Stream]:
    """The file's bytes, unpacked where it is packed; the reader can peek up to 1 MiB ahead.

    Raises InputError when the file cannot be read: missing, a folder, UTF-16, a packed stream that is cut off or broken.
    """
    try:
        with path.open("rb", buffering=_BUFFER) as file:
            start = file.read(4)
            file.seek(0)
            if start[:2] in _UTF16_BOMS:
                raise InputError(f"{path}: UTF-16 text; convert it to UTF-8 first (iconv -f UTF-16 -t UTF-8)")
            if start.startswith(_GZIP):
                with gzip.GzipFile(fileobj=file) as unpacked:
                    yield io.BufferedReader(unpacked, _BUFFER)
            elif start.startswith(_ZSTD):
                with importlib.import_module("gen.containers.zstandard").unpacked(file) as unpacked:
                    yield io.BufferedReader(unpacked, _BUFFER)
            else:
                yield cast(Stream, file)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"{path}: the gzip stream is cut off or broken ({error})") from error
    except OSError as error:
        raise InputError(f"{path}: {(error.strerror or str(error)).lower()}") from error


def first_byte(stream: Stream) -> bytes:
    """The first byte that is no white space, of what can be seen ahead."""
    return stream.peek(_BUFFER).removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
