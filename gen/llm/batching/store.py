"""Which batches are under way and which requests are in them: two tables in the cache's file, so that every later start can join them.

They hold ids and request keys, no prompts. A row is there before the batch is sent and goes when its results are kept. Every function is
one transaction, blocks, and raises StorageError.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from gen.llm.batching.api import Item
from gen.llm.cache_file import connect, storage_error, transaction

_COLUMNS = "tag, service, remote_id, requested_model, requests, created, touched"


@dataclass(frozen=True, slots=True)
class Row:
    """A batch under way. `service` tells provider and address; `remote_id` is empty until the provider named it; `touched` (seconds since
    1970) moves on while a process is sending it."""

    tag: str
    service: str
    remote_id: str
    requested_model: str
    requests: int
    created: float
    touched: float


@dataclass(frozen=True, slots=True)
class Store:
    """The tables of the cache at `path`."""

    path: Path

    def under_way(self, service: str) -> list[Row]:
        """All batches of a service, the oldest first."""
        with self._open() as database:
            found = database.execute(f"SELECT {_COLUMNS} FROM batches WHERE service = ? ORDER BY created, tag", (service,))
            return [Row(*row) for row in found]

    def row(self, tag: str) -> Row | None:
        """One batch; None when it is over."""
        with self._open() as database:
            return _row(database, tag)

    def requests(self, tag: str) -> list[tuple[str, str]]:
        """(custom_id, key) of its requests, as they were sent."""
        with self._open() as database:
            return database.execute("SELECT custom_id, key FROM batch_requests WHERE tag = ? ORDER BY rowid", (tag,)).fetchall()

    def claim(self, row: Row, items: Sequence[Item]) -> tuple[list[Item], dict[str, Row]]:
        """Enter a batch that is about to be sent with those items that are in no other and have no reply yet: these, and the batch that
        others are in. An item that is in neither was answered since it was asked for."""
        elsewhere: dict[str, Row] = {}
        own: list[Item] = []
        with self._open() as database, transaction(database):
            rows: dict[str, Row] = {}
            for item in items:
                if database.execute("SELECT 1 FROM replies WHERE key = ?", (item.key,)).fetchone():
                    continue
                found = database.execute("SELECT tag FROM batch_requests WHERE key = ?", (item.key,)).fetchone()
                other = None if found is None else rows.get(found[0]) or _row(database, found[0])
                if other is None:
                    own.append(item)
                else:
                    rows[other.tag] = elsewhere[item.key] = other
            if own:
                values = (row.tag, row.service, row.remote_id, row.requested_model, len(own), row.created, row.touched)
                database.execute(f"INSERT INTO batches ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)", values)
                database.executemany(
                    "INSERT OR REPLACE INTO batch_requests (key, tag, custom_id) VALUES (?, ?, ?)",
                    [(item.key, row.tag, item.custom_id) for item in own],
                )
        return own, elsewhere

    def sent(self, tag: str, remote_id: str) -> None:
        """The provider has it under `remote_id`."""
        with self._open() as database, transaction(database):
            database.execute("UPDATE batches SET remote_id = ? WHERE tag = ?", (remote_id, tag))

    def touch(self, tag: str, now: float) -> None:
        """Somebody is still sending it."""
        with self._open() as database, transaction(database):
            database.execute("UPDATE batches SET touched = ? WHERE tag = ?", (now, tag))

    def take_over(self, row: Row, now: float) -> bool:
        """Whether an abandoned batch is now this process's to find or give up; False when another was quicker."""
        with self._open() as database, transaction(database):
            taken = database.execute(
                "UPDATE batches SET touched = ? WHERE tag = ? AND remote_id = '' AND touched = ?", (now, row.tag, row.touched)
            )
            return taken.rowcount == 1

    def forget(self, tag: str) -> None:
        """It is over: whatever it brought is kept, and the rest may be sent anew."""
        with self._open() as database, transaction(database):
            database.execute("DELETE FROM batch_requests WHERE tag = ?", (tag,))
            database.execute("DELETE FROM batches WHERE tag = ?", (tag,))

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(connect(self.path)) as database:
                yield database
        except sqlite3.Error as error:
            raise storage_error(self.path, error) from error


def _row(database: sqlite3.Connection, tag: str) -> Row | None:
    found = database.execute(f"SELECT {_COLUMNS} FROM batches WHERE tag = ?", (tag,)).fetchone()
    return None if found is None else Row(*found)
