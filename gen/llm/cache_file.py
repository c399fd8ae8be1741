"""The cache's file: opened, migrated, told apart from other files, and set aside when it is damaged."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlite_utils import Database
from sqlite_utils.migrations import Migrations

from gen.errors import StorageError

migrations = Migrations("sluice_cache")

# A row of `replies`.
COLUMNS = (
    "key", "requested_model", "text", "finish_reason", "input_tokens", "output_tokens", "cached_tokens", "cache_write_tokens", "model",
    "simulated", "created",
)  # fmt: skip
INSERT = f"INSERT INTO replies ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))}) ON CONFLICT(key) DO NOTHING"
MAX_INTEGER = 2**63 - 1  # what SQLite stores

_BUSY_SECONDS = 30.0  # how long another process may hold the write lock
_QUICK_CHECK_BYTES = 64 * 2**20  # a file up to this size is checked page by page when opened, in under a tenth of a second
_DATABASE_SUFFIXES = (".db", ".sqlite", ".sqlite3")
_MAGIC = b"SQLite format 3\x00"


@migrations()
def m001_replies(db: Database) -> None:
    """One row per paid reply. `requested_model` is the model id of the recipe's line, `model` the one that the service reported;
    `created` is in seconds since 1970. Looked up by its key only; `created` serves `prune`."""
    db.table("replies").create(
        {
            "key": str,
            "requested_model": str,
            "text": str,
            "finish_reason": str,
            "input_tokens": int,
            "output_tokens": int,
            "cached_tokens": int,
            "model": str,
            "simulated": int,
            "created": float,
        },
        pk="key",
    )
    db.table("replies").create_index(["created"])


@migrations()
def m002_batches(db: Database) -> None:
    """One row per batch under way at a provider, and one per request in it: what the next start needs to join it. `remote_id` is the
    provider's name for the batch, empty until it is known; `touched` (seconds since 1970) moves on while somebody is sending it. A row
    goes once its results are kept. `key` is unique: no request is in two batches at once. The index serves `tag` → its requests."""
    db.table("batches").create(
        {"tag": str, "service": str, "remote_id": str, "requested_model": str, "requests": int, "created": float, "touched": float},
        pk="tag",
    )
    db.table("batch_requests").create({"key": str, "tag": str, "custom_id": str}, pk="key")
    db.table("batch_requests").create_index(["tag"])


@migrations()
def m003_cache_writes(db: Database) -> None:
    """Tokens that were put into the provider's prompt cache, which cost more than others."""
    db.table("replies").add_column("cache_write_tokens", int, not_null_default=0)


def connect(path: Path) -> sqlite3.Connection:
    """A connection that whichever thread may use, one at a time."""
    connection = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA synchronous = NORMAL")
    return connection


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All of the block or nothing of it."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def prepared(path: Path) -> sqlite3.Connection:
    """A connection to the migrated file. Two processes may begin the same file at the same moment: the slower one looks again."""
    deadline = time.monotonic() + _BUSY_SECONDS
    while True:
        connection = connect(path)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            _migrate(connection, path)
        except sqlite3.OperationalError as error:
            connection.close()
            if not _passing(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        except StorageError:
            connection.close()
            raise
        else:
            return connection


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    database = Database(connection)
    tables = set(database.table_names())
    if tables and migrations.migrations_table not in tables:
        raise StorageError(f"{path}: a database of something else (tables {', '.join(sorted(tables)[:5])}); name another cache file")
    known = {migration.name for migration in migrations._migrations}
    newer = [migration.name for migration in migrations.applied(database) if migration.name not in known]
    if newer:
        raise StorageError(f"{path}: written by a newer version of Sluice ({newer[0]}); update Sluice or name another cache file")
    if migrations.migrations_table in tables and "replies" not in tables and not migrations.pending(database):
        raise StorageError(f"{path}: a cache whose replies are gone; move it away and run again")
    if tables and "replies" not in tables and _foreign(database):
        raise StorageError(f"{path}: a database of something else of Sluice's; name another cache file")
    if migrations.pending(database):
        migrations.apply(database)


def _foreign(database: Database) -> bool:
    sets = {row["migration_set"] for row in database[migrations.migrations_table].rows}
    return bool(sets - {migrations.name})


def readable(path: Path) -> bool:
    """False for a damaged database. Raises StorageError for a file that never was one: it is left where it is."""
    if not path.exists() or path.stat().st_size == 0:
        return True
    with path.open("rb") as file:
        magic = file.read(len(_MAGIC))
    if magic != _MAGIC:
        if path.suffix.lower() not in _DATABASE_SUFFIXES:
            raise StorageError(f"{path}: not a cache; name a file that ends in {' or '.join(_DATABASE_SUFFIXES)}, or a new one")
        return False
    connection = sqlite3.connect(path, timeout=_BUSY_SECONDS)
    try:
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if path.stat().st_size <= _QUICK_CHECK_BYTES:
            return bool(connection.execute("PRAGMA quick_check(1)").fetchone()[0] == "ok")
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):
            raise
        return False
    finally:
        connection.close()
    return True


def set_aside(path: Path) -> Path:
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
    target = path.with_name(f"{path.name}.corrupt-{stamp}")
    number = 1
    while target.exists():
        number += 1
        target = path.with_name(f"{path.name}.corrupt-{stamp}-{number}")
    path.rename(target)
    for suffix in ("-wal", "-shm"):
        beside = path.with_name(path.name + suffix)
        if beside.exists():
            beside.rename(target.with_name(target.name + suffix))
    return target


def _passing(error: sqlite3.OperationalError) -> bool:
    text = str(error)
    return "locked" in text or "busy" in text or "already exists" in text


def storage_error(path: Path, error: sqlite3.Error) -> StorageError:
    text = str(error)
    if "full" in text or "disk I/O" in text:
        return StorageError(f"{path}: the disk is full or failing ({text}); make room and run again: what was stored is kept")
    if "malformed" in text or "not a database" in text:
        return StorageError(f"{path}: the cache is damaged ({text}); move it away and run again")
    if "locked" in text or "busy" in text:
        return StorageError(f"{path}: another process holds the cache for more than {_BUSY_SECONDS:g} s ({text})")
    return StorageError(f"{path}: {text}")
