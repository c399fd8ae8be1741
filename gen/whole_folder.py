"""A folder of files that appears at once and whole, in the place of what it was before."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gen.errors import StorageError


@contextmanager
def replacing_folder(out: Path) -> Iterator[Path]:
    """A folder to fill that becomes `out` when the block ends well; when it fails, `out` is what it was and nothing is left behind.

    The caller makes sure that an existing `out` may go. Raises StorageError with the system's reason.
    """
    temporary = old = None
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{out.name[:100]}.", suffix=".partial", dir=out.parent))
        temporary.chmod(0o755)
        yield temporary
        if out.exists():
            old = Path(tempfile.mkdtemp(prefix=f".{out.name[:100]}.", suffix=".old", dir=out.parent))
            out.rename(old / out.name)
        temporary.rename(out)
    except OSError as error:
        raise StorageError(f"cannot write {out}: {error.strerror or error}") from error
    finally:
        for leftover in (temporary, old):
            if leftover is not None:
                shutil.rmtree(leftover, ignore_errors=True)
