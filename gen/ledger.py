"""What a run did: every candidate with its fate, in plan order, in one SQLite file.

All exports, reports and cards are pure functions of the ledger. A run that is done again writes the same rows over the old ones (`write`
is an upsert by candidate id) and, once it came to its end, drops what it did not meet (`finish`), so resuming is no second mechanism.
Everything but the table `sessions` (dates, durations, what was paid when) is the same between two runs of one recipe.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from sqlite_utils import Database, Migrations

from gen.errors import StorageError
from gen.ledger_rows import call_row, candidate_row, dumps, end_of, end_row, outcome_of, preference_of, refusal, storable, task_row
from gen.types import (
    Call,
    Dropped,
    Json,
    Outcome,
    Preference,
    Review,
    Sample,
    SequenceEnd,
    Session,
    Usage,
    Verdict,
    thaw,
)

migrations = Migrations("ledger")


@migrations()
def m001_ledger(database: Database) -> None:
    database.executescript("""
        CREATE TABLE facts (name TEXT PRIMARY KEY, value_json TEXT NOT NULL);
        CREATE TABLE tasks (
            id TEXT PRIMARY KEY, strategy TEXT NOT NULL, topic TEXT NOT NULL, "index" INTEGER NOT NULL, attempt INTEGER NOT NULL,
            seed INTEGER NOT NULL, inputs_json TEXT NOT NULL
        );
        CREATE TABLE candidates (
            id TEXT PRIMARY KEY, position INTEGER NOT NULL, task TEXT NOT NULL, accepted INTEGER NOT NULL, gate TEXT NOT NULL,
            reason TEXT NOT NULL, item_json TEXT NOT NULL, verdicts_json TEXT NOT NULL
        );
        CREATE INDEX candidates_in_plan_order ON candidates (position, id);  -- every export
        CREATE INDEX candidates_by_fate ON candidates (gate, reason);  -- sluice regenerate RUN --gate --reason
        CREATE TABLE calls (
            key TEXT PRIMARY KEY, model TEXT NOT NULL, model_id TEXT NOT NULL, purpose TEXT NOT NULL, input_tokens INTEGER NOT NULL,
            output_tokens INTEGER NOT NULL, cached_tokens INTEGER NOT NULL, cost REAL, finish_reason TEXT NOT NULL,
            simulated INTEGER NOT NULL
        );
        CREATE TABLE sequences (
            position INTEGER PRIMARY KEY, strategy TEXT NOT NULL, topic TEXT NOT NULL, goal INTEGER NOT NULL, accepted INTEGER NOT NULL,
            candidates INTEGER NOT NULL, stop TEXT NOT NULL, detail TEXT NOT NULL, turns INTEGER NOT NULL,
            goals_json TEXT NOT NULL
        );
        CREATE TABLE errors (request TEXT PRIMARY KEY, reason TEXT NOT NULL, message TEXT NOT NULL, status INTEGER);
        CREATE TABLE splits (sample TEXT PRIMARY KEY, split TEXT NOT NULL);
        CREATE TABLE regenerate (id TEXT PRIMARY KEY);
        CREATE TABLE preferences (position INTEGER PRIMARY KEY, id TEXT NOT NULL, sample TEXT NOT NULL, item_json TEXT NOT NULL);
        CREATE TABLE dropped (position INTEGER PRIMARY KEY, id TEXT NOT NULL, sample TEXT NOT NULL, source TEXT NOT NULL,
            reason TEXT NOT NULL, detail TEXT NOT NULL);
        CREATE TABLE sessions (
            started TEXT NOT NULL, ended TEXT NOT NULL, seconds REAL NOT NULL, requests INTEGER NOT NULL, cache_hits INTEGER NOT NULL,
            rate_limited INTEGER NOT NULL, retries INTEGER NOT NULL, input_tokens INTEGER NOT NULL, output_tokens INTEGER NOT NULL,
            cost REAL, stop TEXT NOT NULL, version TEXT NOT NULL
        );
    """)


@migrations()
def m002_reviews(database: Database) -> None:
    database.executescript("""
        CREATE TABLE reviews (
            place INTEGER PRIMARY KEY, sample TEXT NOT NULL, keep INTEGER NOT NULL, reason TEXT NOT NULL, note TEXT NOT NULL,
            reviewer TEXT NOT NULL, time TEXT NOT NULL
        );
        CREATE INDEX reviews_by_sample ON reviews (sample, place);  -- the label in force of each candidate that is read
    """)


@migrations()
def m003_cache_writes(database: Database) -> None:
    database.executescript("ALTER TABLE calls ADD COLUMN cache_write_tokens INTEGER NOT NULL DEFAULT 0;")


_KNOWN = ("m001_ledger", "m002_reviews", "m003_cache_writes")


class Ledger:
    """One run's database. Safe to use from a worker thread while the event loop reads; one process writes at a time."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        """Open or create the ledger at `path`; with `read_only` open what is there, also where nothing can be written beside it.

        Raises StorageError when it is damaged or of a newer version of Sluice.
        """
        self.path = path
        self._lock = threading.RLock()
        with self._guarded():
            place = _to_read(path) if read_only else str(path)
            self._connection = sqlite3.connect(place, uri=read_only, check_same_thread=False, timeout=30)
            self._database = Database(self._connection)
            try:
                if not read_only:
                    self._database.enable_wal()
                applied = {migration.name for migration in migrations.applied(self._database)}
                if applied - set(_KNOWN):
                    raise StorageError(f"{path} was written by a newer version of Sluice: update Sluice to read it")
                if not read_only:
                    migrations.apply(self._database)
                self._reviewed = not read_only or "m002_reviews" in applied  # a ledger that is only read stays as old as it is
            except BaseException:
                self._connection.close()
                raise

    def close(self) -> None:
        """Close the file; the write-ahead log is folded in."""
        with self._guarded():
            self._connection.close()

    # --- writing ---

    def set_fact(self, name: str, value: Json) -> None:
        """Keep one fact about the run (`recipe`, `sources`, …)."""
        self._upsert("facts", [{"name": name, "value_json": dumps(value)}], "name")

    def write(self, outcomes: Sequence[tuple[int, Outcome]], calls: Iterable[Call] = ()) -> None:
        """Put outcomes at their positions in plan order, with the calls they were made from, in one transaction."""
        tasks = {outcome.task.id: outcome.task for _, outcome in outcomes}
        with self._guarded(), self._connection:
            self._rows("tasks", [task_row(task) for task in tasks.values()], "id")
            self._rows("candidates", [candidate_row(position, outcome) for position, outcome in outcomes], "id")
            self._rows("calls", [call_row(call) for call in calls], "key")

    def write_errors(self, rows: Iterable[tuple[str, str, str, int | None]]) -> None:
        """Keep final errors (request digest, reason, message, status), so that the same request is never sent again by this run."""
        names = ("request", "reason", "message", "status")
        self._upsert("errors", [dict(zip(names, row, strict=True)) for row in rows], "request")

    def record_ends(self, ends: Sequence[SequenceEnd]) -> None:
        """Record how the sequences ended."""
        with self._guarded(), self._connection:
            self._connection.execute("DELETE FROM sequences")
            self._rows("sequences", [{"position": place} | end_row(end) for place, end in enumerate(ends)], "position")

    def keep_only(self, candidates: set[str]) -> None:
        """Drop the candidates that a run which came to its end did not meet again, with their tasks and calls."""
        with self._guarded(), self._connection:
            stale = [(one,) for (one,) in self._connection.execute("SELECT id FROM candidates") if one not in candidates]
            if stale:
                self._connection.executemany("DELETE FROM candidates WHERE id = ?", stale)
                self._connection.execute("DELETE FROM tasks WHERE id NOT IN (SELECT task FROM candidates)")
                self._connection.execute(_STALE_CALLS)

    def write_pairs(self, pairs: Sequence[Preference], dropped: Sequence[Dropped], calls: Sequence[Call] = ()) -> None:
        """Replace the run's preference pairs, the record of those that were tried and not made, and the calls that both took."""
        with self._guarded(), self._connection:
            self._connection.execute("DELETE FROM preferences")
            self._connection.execute("DELETE FROM dropped")
            rows = [
                {"position": place, "id": pair.id, "sample": pair.sample, "item_json": dumps(thaw(pair))}
                for place, pair in enumerate(pairs)
            ]
            self._rows("preferences", rows, "position")
            self._rows("dropped", [{"position": place} | asdict(one) for place, one in enumerate(dropped)], "position")
            self._connection.execute(_STALE_CALLS)
            self._rows("calls", [call_row(call) for call in calls], "key")

    def write_splits(self, splits: Mapping[str, str]) -> None:
        """Record each sample's split. A sample once in `test` stays there (`splits()` returns it as locked)."""
        with self._guarded(), self._connection:
            self._connection.execute("DELETE FROM splits WHERE split != 'test'")
            self._rows("splits", [{"sample": sample, "split": split} for sample, split in splits.items()], "sample")

    def order_again(self, ids: Iterable[str], *, unsafe: Iterable[str] = ()) -> None:
        """Mark rejected candidates to be asked for again by the next run; those in `unsafe` although they were unsafe."""
        self._upsert("regenerate", [{"id": one} for one in ids], "id")
        told = set(unsafe) - self.unsafe()
        if told:
            self.set_fact("regenerate_unsafe", sorted(self.unsafe() | told))

    def add_session(self, session: Session) -> None:
        """Append what one start of the run sent and paid."""
        with self._guarded(), self._connection:
            names = [item.name for item in fields(Session)]
            marks = ", ".join("?" * len(names))
            self._connection.execute(
                f"INSERT INTO sessions ({', '.join(names)}) VALUES ({marks})", [getattr(session, name) for name in names]
            )

    def add_reviews(self, reviews: Sequence[Review]) -> None:
        """Append what people said of samples. Nothing is overwritten: the last word on a sample is in force, the others are its history."""
        with self._guarded(), self._connection:
            rows = [[storable(getattr(one, name)) for name in _REVIEW_COLUMNS] for one in reviews]
            self._connection.executemany(f"INSERT INTO reviews ({', '.join(_REVIEW_COLUMNS)}) VALUES (?, ?, ?, ?, ?, ?)", rows)

    # --- reading ---

    def fact(self, name: str) -> Json:
        """A fact kept by `set_fact`, None when there is none."""
        row = self._one("SELECT value_json FROM facts WHERE name = ?", [name])
        return json.loads(row["value_json"]) if row else None

    def outcomes(self) -> Iterator[Outcome]:
        """Every candidate with its fate, in plan order, read 500 at a time. What a person rejected in review is rejected here by the gate
        `review`, after all others; a person's "keep" overrules no gate."""
        refused = self.refused()
        last: list[Any] = [-1, ""]
        while rows := self._all(f"{_OUTCOMES} WHERE (c.position, c.id) > (?, ?) ORDER BY c.position, c.id LIMIT 500", last):
            last = [rows[-1]["position"], rows[-1]["id"]]
            yield from (outcome_of(row, refused) for row in rows)

    def find(self, id_or_prefix: str) -> list[Outcome]:
        """The candidates whose id begins so, at most 20, in plan order."""
        escaped = id_or_prefix.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        rows = self._all(f"{_OUTCOMES} WHERE c.id LIKE ? ESCAPE '\\' ORDER BY c.position LIMIT 20", [escaped + "%"])
        refused = self.refused()
        return [outcome_of(row, refused) for row in rows]

    def children(self, sample: str) -> list[Outcome]:
        """The candidates made from another attempt at, or an evolution of, the candidate `sample`."""
        needle = json.dumps(sample)
        rows = self._all(f"{_OUTCOMES} WHERE instr(c.item_json, ?) > 0 AND c.id != ? ORDER BY c.position", [needle, sample])
        refused = self.refused()
        return [outcome for outcome in (outcome_of(row, refused) for row in rows) if sample in outcome.item.provenance.parents]

    def sequences(self) -> list[SequenceEnd]:
        """How each sequence ended, in plan order."""
        return [end_of(row) for row in self._all("SELECT * FROM sequences ORDER BY position")]

    def calls(self) -> list[Call]:
        """The paid replies behind the candidates and pairs on record, ordered by key."""
        return [
            Call(
                key=row["key"],
                model=row["model"],
                model_id=row["model_id"],
                purpose=row["purpose"],
                usage=Usage(row["input_tokens"], row["output_tokens"], row["cached_tokens"], row.get("cache_write_tokens", 0)),
                cost=row["cost"],
                finish_reason=row["finish_reason"],
                simulated=bool(row["simulated"]),
            )
            for row in self._all("SELECT * FROM calls ORDER BY key")
        ]

    def errors(self) -> dict[str, tuple[str, str, int | None]]:
        """Request digest → (reason, message, status) of the final errors on record."""
        return {row["request"]: (row["reason"], row["message"], row["status"]) for row in self._all("SELECT * FROM errors")}

    def sessions(self) -> list[Session]:
        """Every start of this run, in order."""
        names = [item.name for item in fields(Session)]
        return [Session(**{name: row[name] for name in names}) for row in self._all("SELECT * FROM sessions ORDER BY rowid")]

    def splits(self) -> dict[str, str]:
        """Sample id → split."""
        return {row["sample"]: row["split"] for row in self._all("SELECT * FROM splits ORDER BY sample")}

    def regenerate(self) -> frozenset[str]:
        """The ids marked by `order_again`."""
        return frozenset(row["id"] for row in self._all("SELECT id FROM regenerate"))

    def unsafe(self) -> frozenset[str]:
        """Those among `regenerate()` that somebody ordered although they were unsafe."""
        return frozenset(self.fact("regenerate_unsafe") or ())

    def reviews(self) -> list[Review]:
        """Everything that people said of samples, in the order in which they said it."""
        if not self._reviewed:
            return []
        rows = self._all(f"SELECT {', '.join(_REVIEW_COLUMNS)} FROM reviews ORDER BY place")
        return [Review(**(row | {"keep": bool(row["keep"])})) for row in rows]

    def labels(self) -> dict[str, Review]:
        """Sample id → the review in force, which is the last one."""
        return {one.sample: one for one in self.reviews()}

    def refused(self) -> dict[str, Verdict]:
        """Sample id → the verdict of the person who rejected it last. `reason` is the review's as a code, `detail` its note."""
        return {name: refusal(one) for name, one in self.labels().items() if not one.keep}

    def preferences(self) -> list[Preference]:
        """The run's pairs in the order they were made, without those whose chosen reply a person rejected in review."""
        pairs = [preference_of(json.loads(row["item_json"])) for row in self._all("SELECT item_json FROM preferences ORDER BY position")]
        refused = self.refused() if pairs else {}
        wrong = {name: item.messages for name in refused for item in (self._sample_of(name),) if item is not None}
        return [pair for pair in pairs if pair.sample not in wrong or pair.chosen[-1:] != wrong[pair.sample][-1:]]

    def dropped(self) -> list[Dropped]:
        """The pairs that were tried and not made, with their reasons."""
        names = [item.name for item in fields(Dropped)]
        return [Dropped(**{name: row[name] for name in names}) for row in self._all("SELECT * FROM dropped ORDER BY position")]

    def _sample_of(self, name: str) -> Sample | None:
        row = self._one(f"{_OUTCOMES} WHERE c.id = ?", [name])
        item = outcome_of(row).item if row else None
        return item if isinstance(item, Sample) else None

    # --- SQL ---

    def _upsert(self, table: str, rows: list[dict[str, Any]], pk: str) -> None:
        with self._guarded(), self._connection:
            self._rows(table, rows, pk)

    def _rows(self, table: str, rows: list[dict[str, Any]], pk: str) -> None:
        if not rows:
            return
        names = list(rows[0])
        columns = ", ".join(f'"{name}"' for name in names)
        changed = ", ".join(f'"{name}" = excluded."{name}"' for name in names if name != pk)
        action = f"DO UPDATE SET {changed}" if changed else "DO NOTHING"
        statement = f'INSERT INTO {table} ({columns}) VALUES ({", ".join("?" * len(names))}) ON CONFLICT ("{pk}") {action}'
        self._connection.executemany(statement, [[storable(value) for value in row.values()] for row in rows])

    def _all(self, sql: str, values: Sequence[Any] = ()) -> list[dict[str, Any]]:
        with self._guarded():
            cursor = self._connection.execute(sql, values)
            names = [column[0] for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def _one(self, sql: str, values: Sequence[Any] = ()) -> dict[str, Any] | None:
        rows = self._all(sql, values)
        return rows[0] if rows else None

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        with self._lock:
            try:
                yield
            except sqlite3.OperationalError as error:
                raise StorageError(f"{self.path}: {error}") from error
            except sqlite3.DatabaseError as error:
                hint = "move it away and run again: replies are in the cache and cost nothing twice"
                raise StorageError(f"{self.path} is damaged ({error}); {hint}") from error


_REVIEW_COLUMNS = ("sample", "keep", "reason", "note", "reviewer", "time")
_OUTCOMES = """
    SELECT c.*, t.strategy, t.topic, t."index" AS task_index, t.attempt, t.seed, t.inputs_json
    FROM candidates c JOIN tasks t ON t.id = c.task"""
_STALE_CALLS = """
    DELETE FROM calls WHERE key NOT IN (
        SELECT one.value FROM candidates c, json_each(c.item_json, '$.sample.provenance.requests') one
        UNION SELECT one.value FROM candidates c, json_each(c.item_json, '$.malformed.provenance.requests') one
    )"""


def read_only(folder: Path) -> bool:
    """Whether this process may not write in the run's folder or its ledger."""
    return not all(os.access(path, os.W_OK) for path in (folder, folder / "run.db"))


def _to_read(path: Path) -> str:
    """SQLite's address for reading. A log in write-ahead mode needs files beside it, even to read; where none can be made, the file is
    taken as it stands, unless a log still lies there, whose rows would then be missing."""
    frozen = not os.access(path.parent, os.W_OK) and not path.with_name(f"{path.name}-wal").exists()
    return f"{path.absolute().as_uri()}?mode=ro{'&immutable=1' if frozen else ''}"
