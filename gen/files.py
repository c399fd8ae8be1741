"""Write files so that a reader never sees half of one: a temporary name beside the target, synced, then renamed.

JSON Lines are written with orjson where it can (compact, UTF-8, one record per `\\n`) and with the standard library where it cannot: a
lone surrogate, which has no UTF-8 form, is written as its JSON escape, so no text of a model can stop a run.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from gen.errors import StorageError
from gen.types import thaw


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A file to write that becomes `path` when the block ends well; when it fails, `path` is what it was and nothing is left behind.

    Folders on the way are made. Raises StorageError with the system's reason (disk full, no permission, a folder in the way).
    """
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name[:100]}.", suffix=".partial", dir=path.parent)
        temporary = Path(name)
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
        temporary = None
        _sync_folder(path.parent)
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """`text` as UTF-8; lone surrogates become U+FFFD."""
    with replacing(path) as file:
        file.write(text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace").encode("utf-8"))


def write_jsonl(path: Path, rows: Iterable[Mapping[str, Any]]) -> int:
    """One record per line, streamed; the number of records. No rows make an empty file."""
    count = 0
    with replacing(path) as file:
        for row in rows:
            file.write(json_line(row))
            count += 1
    return count


def json_line(row: Any) -> bytes:
    r"""One JSON value as one line of bytes, keys in the order given.

    >>> json_line({"text": "é", "odd": "a\ud800b"})
    b'{"text":"\xc3\xa9","odd":"a\\ud800b"}\n'
    """
    plain = thaw(row)
    try:
        return orjson.dumps(plain, option=orjson.OPT_APPEND_NEWLINE)
    except TypeError:  # a lone surrogate, an integer beyond 64 bits, nesting beyond orjson's limit
        text = json.dumps(plain, ensure_ascii=False, separators=(",", ":"))
        return text.encode("utf-8", "backslashreplace") + b"\n"


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current


def _sync_folder(folder: Path) -> None:
    """The rename itself must reach the disk; systems that cannot open a folder (Windows) sync it on their own."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
