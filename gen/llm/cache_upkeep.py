"""Look after a cache file: what it holds, remove what is old, take replies out as JSON Lines and bring them in.

Nothing here makes a cache or sets a damaged one aside but `import_replies`, which may begin a new file: who asks what a file holds gets
an answer about that file.
"""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from gen.errors import InputError, StorageError
from gen.llm.cache_file import COLUMNS, INSERT, MAX_INTEGER, prepared, readable, storage_error, transaction
from gen.types import FinishReason, Json

_KINDS: tuple[type | tuple[type, ...], ...] = (str, str, str, str, int, int, int, int, str, int, (int, float))  # of COLUMNS
_FINISH_REASONS = frozenset(get_args(FinishReason))
_BATCH = 500  # lines added in one transaction: a second process waits no longer for the lock than these take
_GONE_BEFORE = "created < :older_than AND (:model IS NULL OR requested_model = :model)"


@dataclass(frozen=True, slots=True)
class ModelReplies:
    """The replies of one model, by the model id that the recipe asked for: their number, tokens as the provider counted them, and the
    characters of their texts."""

    model: str
    replies: int
    input_tokens: int
    output_tokens: int
    characters: int


@dataclass(frozen=True, slots=True)
class CacheStats:
    """What a cache file holds. `bytes` with the write-ahead log; most replies first in `models` and `finish_reasons`; `oldest` and
    `newest` in seconds since 1970, None for an empty cache."""

    replies: int
    bytes: int
    simulated: int
    models: tuple[ModelReplies, ...]
    finish_reasons: tuple[tuple[str, int], ...]
    oldest: float | None
    newest: float | None


@dataclass(frozen=True, slots=True)
class Imported:
    """How many lines became replies, how many were there before, and the others: line number and why each is no reply."""

    added: int
    present: int
    malformed: tuple[tuple[int, str], ...]


def cache_stats(path: Path) -> CacheStats:
    """Counts and sizes. Raises InputError for a file that is not there, StorageError for one that is no sound cache."""
    with _existing(path) as connection:
        count, simulated, oldest, newest = connection.execute(
            "SELECT count(*), coalesce(sum(simulated), 0), min(created), max(created) FROM replies"
        ).fetchone()
        models = connection.execute(
            "SELECT requested_model, count(*), sum(input_tokens), sum(output_tokens), sum(length(text)) FROM replies GROUP BY 1 "
            "ORDER BY 2 DESC, 1"
        ).fetchall()
        reasons = connection.execute("SELECT finish_reason, count(*) FROM replies GROUP BY 1 ORDER BY 2 DESC, 1").fetchall()
        return CacheStats(
            replies=count,
            bytes=_size(path),
            simulated=simulated,
            models=tuple(ModelReplies(*row) for row in models),
            finish_reasons=tuple((name, number) for name, number in reasons),
            oldest=oldest,
            newest=newest,
        )


def prune(path: Path, *, older_than: float | None = None, model: str | None = None, dry_run: bool = False) -> int:
    """Remove the replies from before `older_than` (seconds since 1970), of `model` where one is named, and give the room back; how many
    went, or would go with `dry_run`.

    Raises InputError for a model that the cache does not know, and as `cache_stats` does.
    """
    chosen = {"older_than": math.inf if older_than is None else older_than, "model": model}
    with _existing(path) as connection:
        if model is not None:
            _check_model(connection, path, model)
        if dry_run:
            return int(connection.execute(f"SELECT count(*) FROM replies WHERE {_GONE_BEFORE}", chosen).fetchone()[0])
        with transaction(connection):
            removed = connection.execute(f"DELETE FROM replies WHERE {_GONE_BEFORE}", chosen).rowcount
        if removed:
            connection.execute("VACUUM")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return removed


def export_replies(path: Path) -> Iterator[dict[str, Json]]:
    """One object per reply, ordered by key; raises as `cache_stats` does."""
    with _existing(path) as connection:
        for row in connection.execute(f"SELECT {', '.join(COLUMNS)} FROM replies ORDER BY key"):
            yield dict(zip(COLUMNS, row, strict=True))


def import_replies(path: Path, lines: Iterable[bytes | str]) -> Imported:
    """Add exported replies to the cache at `path`, begun anew where there is none; what is there stays as it is, and lines that are no
    replies are left out and named. Blank lines do not count.

    Raises StorageError for a file that is no sound cache, or a full disk: batches committed before stay, and importing again goes on.
    """
    added = present = 0
    malformed: list[tuple[int, str]] = []
    batch: list[tuple[Any, ...]] = []
    with _existing(path, begin=True) as connection:

        def add() -> None:
            nonlocal added, present, batch
            with transaction(connection):
                fresh = sum(connection.execute(INSERT, row).rowcount for row in batch)
            added, present, batch = added + fresh, present + len(batch) - fresh, []

        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            row = parse_line(line)
            if isinstance(row, str):
                malformed.append((number, row))
                continue
            batch.append(row)
            if len(batch) >= _BATCH:
                add()
        add()
    return Imported(added, present, tuple(malformed))


def parse_line(line: bytes | str) -> tuple[Any, ...] | str:
    """The row of an exported reply, or in a few words why the line is none; never a part of the line."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return "no JSON"
    if not isinstance(value, dict):
        return f"a JSON {type(value).__name__}, not an object"
    value = {"cache_write_tokens": 0} | value  # exports of before it was counted
    if missing := [name for name in COLUMNS if name not in value]:
        return f"no {missing[0]}"
    row = tuple(value[name] for name in COLUMNS)
    for name, item, kind in zip(COLUMNS, row, _KINDS, strict=True):
        if problem := _problem(name, item, kind):
            return f"{name} {problem}"
    return row


def _problem(name: str, item: Any, kind: Any) -> str:
    if not isinstance(item, kind) or (isinstance(item, bool) and name != "simulated"):
        return "of the wrong type"
    if isinstance(item, str):
        try:
            item.encode()
        except UnicodeEncodeError:
            return "with a lone surrogate"
        if name == "key" and not item:
            return "is empty"
        return "is unknown" if name == "finish_reason" and item not in _FINISH_REASONS else ""
    return "" if 0 <= item <= MAX_INTEGER else "out of range"


def _check_model(connection: sqlite3.Connection, path: Path, model: str) -> None:
    known = [name for (name,) in connection.execute("SELECT DISTINCT requested_model FROM replies ORDER BY 1")]
    if model not in known:
        raise InputError(f"{path} holds no reply of '{model[:100]}': choose from {', '.join(known[:20]) or '(none)'}")


def _size(path: Path) -> int:
    beside = path.with_name(path.name + "-wal")
    return path.stat().st_size + (beside.stat().st_size if beside.exists() else 0)


@contextmanager
def _existing(path: Path, *, begin: bool = False) -> Iterator[sqlite3.Connection]:
    """The cache that is at `path`; one that is damaged stays where it is."""
    try:
        _check_file(path, begin=begin)
        with closing(prepared(path)) as connection:
            yield connection
    except sqlite3.Error as error:
        raise storage_error(path, error) from error


def _check_file(path: Path, *, begin: bool) -> None:
    try:
        if path.is_dir():
            raise InputError(f"{path} is a folder: name the cache file in it, such as {path / 'cache.db'}")
        if begin:
            path.parent.mkdir(parents=True, exist_ok=True)
        elif not path.exists():
            raise InputError(f"there is no cache at {path}: `sluice run` makes runs/cache.db, `--cache` names another")
        elif path.stat().st_size == 0:
            raise InputError(f"{path} is an empty file, no cache")
        if not readable(path):
            raise StorageError(
                f"{path}: the cache is damaged; nothing was changed. The next `sluice run` keeps it under another name and begins a new one"
            )
    except OSError as error:
        raise StorageError(f"{path}: cannot be opened: {error.strerror or error}") from error
