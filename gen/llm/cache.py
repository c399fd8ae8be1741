"""Every paid reply on disk before anyone uses it: a SQLite file of replies by request key, shared by runs and processes.

It holds no prompts and no keys. Writes go through one thread that commits whatever has gathered as one transaction; a waiter resumes
once its group is committed. WAL with `synchronous=NORMAL` survives the death of the process at any moment; after a power cut the last
moments may be missing, never the file. Reads are a primary-key lookup of some 20 µs and run where they are asked for.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import threading
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from gen.errors import StorageError
from gen.llm.cache_file import COLUMNS, INSERT, MAX_INTEGER, connect, prepared, readable, set_aside, storage_error, transaction
from gen.types import Response, Usage

log = logging.getLogger(__name__)

_REPLY = COLUMNS[:-1]  # all but the date
_SELECT = f"SELECT {', '.join(_REPLY)} FROM replies WHERE key = ?"

_GROUP = 500  # replies in one transaction at most: beyond it a larger group is hardly faster (23,800 against 20,700 rows/s)


@dataclass(frozen=True, slots=True)
class _Write:
    row: tuple[Any, ...]
    loop: asyncio.AbstractEventLoop
    waiter: asyncio.Future[Response]


class Cache:
    """Replies by request key. Open it where blocking is fine; `close` waits for what is still being written.

    Raises StorageError for a file that cannot be opened, is of a newer version of Sluice or is a database of something else. A damaged
    cache is set aside as `<name>.corrupt-<time>` and begun anew: `set_aside` then names it.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.set_aside: Path | None = None
        self._reader = self._open()
        self._writes: SimpleQueue[_Write | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._closed = False

    # --- asked by the client ---------------------------------------------------------------------------------------------------

    def get(self, key: str) -> Response | None:
        """The reply stored under `key`, None when there is none. Raises StorageError for a damaged or vanished file."""
        try:
            row = self._reader.execute(_SELECT, (key,)).fetchone()
        except sqlite3.Error as error:
            raise storage_error(self.path, error) from error
        return None if row is None else _response(row)

    async def put(self, key: str, response: Response, *, requested_model: str, created: float) -> Response:
        """Store a reply and return once it is committed.

        The answer is the reply on disk: when another process was first with this key, its reply, so that every later replay agrees.
        Raises StorageError when it cannot be written (disk full; a lone surrogate or a number beyond 64 bits, which no provider of ours
        hands on); what was committed before stays.
        """
        if self._closed:
            raise StorageError(f"{self.path}: the cache is closed")
        row = _row(key, response, requested_model, created)
        if not _storable(row):
            raise StorageError(f"{self.path}: a reply cannot be kept: it holds text that is no Unicode, or a number beyond 64 bits")
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[Response] = loop.create_future()
        self._writes.put(_Write(row, loop, waiter))
        if self._thread is None:
            self._thread = threading.Thread(target=self._write_groups, name="sluice-cache", daemon=True)
            self._thread.start()
        return await waiter

    async def close(self) -> None:
        """Commit what is waiting and close the file."""
        if self._closed:
            return
        self._closed = True
        if self._thread is not None:
            self._writes.put(None)
            await asyncio.to_thread(self._thread.join)
        self._reader.close()

    # --- the writing thread ----------------------------------------------------------------------------------------------------

    def _write_groups(self) -> None:
        """Take what has gathered, commit it as one, wake its waiters; until None comes."""
        connection: sqlite3.Connection | None = None
        more, told = True, ""
        while more:
            group: list[_Write] = []
            more = _gather(self._writes, group)
            if not group:
                continue
            try:
                connection = connection or connect(self.path)
                stored = _commit(connection, group)
            except sqlite3.Error as error:
                failure = storage_error(self.path, error)
                _wake(group, failure)
                if told != str(failure):  # once, not for every group that comes home to a full disk
                    log.warning("%s", failure)
                told = str(failure)
            else:
                _wake(group, stored)
                told = ""
        if connection is not None:
            connection.close()

    # --- opening ---------------------------------------------------------------------------------------------------------------

    def _open(self) -> sqlite3.Connection:
        if self.path.is_dir():
            raise StorageError(f"{self.path}: this is a folder; name the cache file in it, such as {self.path / 'cache.db'}")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if not readable(self.path):
                self.set_aside = set_aside(self.path)
                log.warning("%s was damaged: it is kept as %s, and an empty cache begins", self.path, self.set_aside.name)
            return prepared(self.path)
        except OSError as error:
            raise StorageError(f"{self.path}: cannot be opened: {error.strerror or error}") from error
        except sqlite3.Error as error:
            raise storage_error(self.path, error) from error


# --- rows and groups -----------------------------------------------------------------------------------------------------------


def _gather(writes: SimpleQueue[_Write | None], group: list[_Write]) -> bool:
    """Wait for one write, then take all that are there; False once None was among them."""
    item = writes.get()
    while item is not None:
        group.append(item)
        if len(group) >= _GROUP or writes.empty():
            return True
        item = writes.get()
    return False


def _commit(connection: sqlite3.Connection, group: list[_Write]) -> list[Response]:
    """Write the group as one transaction; for each write the reply that is on disk now."""
    rows = [write.row for write in group]
    with transaction(connection):
        added = connection.executemany(INSERT, rows).rowcount
        if added < len(rows):  # some keys were there before
            rows = [connection.execute(_SELECT, row[:1]).fetchone() for row in rows]
    return [_response(row) for row in rows]


def _wake(group: list[_Write], result: list[Response] | StorageError) -> None:
    """Hand the group's results to the loops that wait for them; a loop that is closed by now no longer asks."""
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Response], Response | StorageError]]] = {}
    for index, write in enumerate(group):
        by_loop.setdefault(write.loop, []).append((write.waiter, result if isinstance(result, StorageError) else result[index]))
    for loop, pairs in by_loop.items():
        if not loop.is_closed():
            loop.call_soon_threadsafe(_resolve, pairs)


def _resolve(pairs: list[tuple[asyncio.Future[Response], Response | StorageError]]) -> None:
    for waiter, outcome in pairs:
        if waiter.done():
            continue
        if isinstance(outcome, StorageError):
            waiter.set_exception(outcome)
        else:
            waiter.set_result(outcome)


def _row(key: str, response: Response, requested_model: str, created: float) -> tuple[Any, ...]:
    usage = response.usage
    return (
        key,
        requested_model,
        response.text,
        response.finish_reason,
        usage.input_tokens,
        usage.output_tokens,
        usage.cached_tokens,
        usage.cache_write_tokens,
        response.model,
        int(response.simulated),
        created,
    )


def _storable(row: tuple[Any, ...]) -> bool:
    """Whether SQLite takes all of a row: one that it refuses would take the others of its group along."""
    try:
        for item in row:
            if isinstance(item, str):
                item.encode()
            elif abs(item) > MAX_INTEGER:
                return False
    except UnicodeEncodeError:
        return False
    return True


def _response(row: tuple[Any, ...]) -> Response:
    key, _requested, text, finish_reason, input_tokens, output_tokens, cached_tokens, cache_write_tokens, model, simulated, *_ = row
    return Response(
        text=text,
        finish_reason=finish_reason,
        usage=Usage(input_tokens, output_tokens, cached_tokens, cache_write_tokens),
        model=model,
        key=key,
        simulated=bool(simulated),
    )
