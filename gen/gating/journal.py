"""The folder of a gating that is under way: files that grow, and a state that says how long each was when so many rows were done.

A gating that was killed is taken up at the last state: every file is cut to the length on record. The state names what the gating was
about (inputs, gates, options); another gating does not go on from it.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Self

import orjson

from gen.errors import InputError, StorageError
from gen.files import json_line, replacing

FOLDER, STATE = ".gating", "state.json"
EVERY_SECONDS = 2.0  # between two states: what a kill costs to do again


class Journal:
    """Opens `out`/.gating, at the state of an earlier gating of the same `plan` or anew; a context manager.

    `rows` and `told` are what the last `save` was given (0 and nothing when anew). Raises InputError where the folder belongs to another
    plan, StorageError where it cannot be written.
    """

    def __init__(
        self,
        out: Path,
        plan: Mapping[str, Any],
        names: Sequence[str],
        *,
        restart: bool = False,
        every_seconds: float = EVERY_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._out, self._plan, self._names = out, orjson.loads(json_line(plan)), names
        self._folder = out / FOLDER
        self._every, self._clock, self._saved = every_seconds, clock, clock()
        self._files: dict[str, BinaryIO] = {}
        if restart:
            shutil.rmtree(self._folder, ignore_errors=True)
        state = self._state()
        self.rows: int = state.get("rows", 0)
        self.told: Mapping[str, Any] = state.get("told", {})
        self.complete: bool = state.get("complete", False)
        self._lengths: dict[str, int] = state.get("lengths", {})

    def __enter__(self) -> Self:
        if self.complete:
            return self
        with self._storing():
            self._folder.mkdir(parents=True, exist_ok=True)
            for name in self._names:
                file = self._files[name] = (self._folder / name).open("a+b")
                file.truncate(self._lengths.get(name, 0))
                file.seek(0, os.SEEK_END)
        if not self.rows:
            self.save(0, {})
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        for file in self._files.values():
            try:
                file.close()
            except OSError:  # a full disk was told when it was written; what is on record still holds
                continue
        if kind is not None and issubclass(kind, InputError):  # the same would happen again
            self.remove()

    def append(self, name: str, data: bytes) -> None:
        """Add to the end of a file."""
        try:
            self._files[name].write(data)
        except OSError as error:
            raise self._cannot(error) from error

    def read(self, name: str) -> bytes:
        """All of a file."""
        with self._storing():
            self._files[name].flush()
            return (self._folder / name).read_bytes()

    def opened(self, name: str) -> BinaryIO:
        """A file to be read from its start, beside what is written to it."""
        with self._storing():
            self._files[name].flush()
            return (self._folder / name).open("rb")

    def save_now_and_then(self, rows: int, told: Callable[[], Mapping[str, Any]]) -> None:
        """`save` where the last one is a while ago."""
        if self._clock() - self._saved >= self._every:
            self.save(rows, told())

    def save(self, rows: int, told: Mapping[str, Any], *, complete: bool = False) -> None:
        """Put on record that so many rows are done, with what the caller wants to know again."""
        with self._storing():
            for file in self._files.values():
                file.flush()
                os.fsync(file.fileno())
        self._lengths = {name: file.tell() for name, file in self._files.items()}
        state = {"plan": self._plan, "rows": rows, "lengths": self._lengths, "told": told, "complete": complete}
        with replacing(self._folder / STATE) as file:
            file.write(json_line(state))
        self._saved = self._clock()

    def finish(self, names: Sequence[str]) -> None:
        """Let the files of these names appear in `out`, each in the place of what it was before, and remove the folder. The last `save`
        said `complete`."""
        for file in self._files.values():
            file.close()
        with self._storing():
            for name in names:
                if (self._folder / name).exists():  # else an earlier start was killed between two of them
                    (self._folder / name).replace(self._out / name)
        self.remove()

    def remove(self) -> None:
        """Remove the folder with everything in it."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _state(self) -> dict[str, Any]:
        try:
            state = orjson.loads((self._folder / STATE).read_bytes())
        except FileNotFoundError:
            return {}
        except (OSError, orjson.JSONDecodeError) as error:
            raise StorageError(f"{self._folder / STATE} cannot be read ({error}): say --restart to begin anew") from error
        if state["plan"] != self._plan:
            parts = [name for name in self._plan if state["plan"].get(name) != self._plan[name]]
            raise InputError(
                f"{self._out} holds an unfinished gating whose {' and '.join(parts) or 'plan'} differ from these: "
                "say --restart to begin anew, or take another --out"
            )
        return dict(state)

    @contextmanager
    def _storing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise self._cannot(error) from error

    def _cannot(self, error: OSError) -> StorageError:
        return StorageError(f"cannot write {self._folder}: {error.strerror or error}")
