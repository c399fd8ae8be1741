"""Judge samples of a run by hand: draw them at random, write them as a sheet to fill in elsewhere, read filled sheets back.

The draw is decided by the run's seed and the ids alone: who goes on another day, on another machine or with a larger number sees the same
samples in the same order. A label is a row in the ledger, and a later one on the same sample puts it right; nothing is overwritten.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gen.conversation import as_dicts
from gen.errors import InputError
from gen.files import replacing, write_jsonl
from gen.ledger import Ledger
from gen.ledger_rows import REVIEW
from gen.types import Outcome, Review, Sample

# What the prompt offers; anything else may be said as well. `unsafe` is never asked for again, the first five ask for another instruction.
REASONS = ("duplicate", "bad_prompt", "off_topic", "unclear", "too_easy", "wrong", "incomplete", "style", "private", "unsafe")
MAX_REASON, MAX_NOTE = 60, 2_000  # characters
_MAX_SHEET_BYTES = 64 * 1024 * 1024
_MAX_CELL = 32_000  # characters; a spreadsheet's cell holds 32,767 (Excel's published limit)
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "'")  # how a cell begins that a spreadsheet would run (OWASP, CSV injection), and our own guard
_YES = frozenset({"y", "yes", "true", "1", "keep", "good"})
_NO = frozenset({"n", "no", "false", "0", "reject", "bad"})
_COLUMNS = ("id", "keep", "reason", "note", "drawn_from", "topic", "strategy", "conversation")


@dataclass(frozen=True, slots=True)
class Sheet:
    """What a filled sheet says: `reviews` in its order, and how many rows were left `blank`."""

    reviews: tuple[Review, ...]
    blank: int


def draw(ledger: Ledger, *, accepted: int, rejected: int, seed: int) -> list[Outcome]:
    """That many samples at random of those that the gates accepted, and of those that they rejected; fewer where there are fewer.

    Every sample of a side is equally likely, so the share of good ones among the drawn estimates that of all. What a person rejected
    earlier is still drawn from the accepted. Replies that never became a sample are not drawn: there is nothing to keep.
    """
    sides: tuple[list[tuple[str, str]], list[tuple[str, str]]] = ([], [])
    for outcome in ledger.outcomes():
        if isinstance(outcome.item, Sample):
            place = hashlib.sha256(f"{seed}/review/{outcome.item.id}".encode()).hexdigest()
            sides[not by_gates(outcome).accepted].append((place, outcome.item.id))
    chosen = [name for side, count in zip(sides, (accepted, rejected), strict=True) for _, name in sorted(side)[:count]]
    wanted = set(chosen)
    held = {outcome.item.id: by_gates(outcome) for outcome in ledger.outcomes() if outcome.item.id in wanted}
    return [held[name] for name in chosen]


def by_gates(outcome: Outcome) -> Outcome:
    """The outcome as the gates left it, without what a person said."""
    return replace(outcome, verdicts=tuple(verdict for verdict in outcome.verdicts if verdict.gate != REVIEW))


def reviewed(ledger: Ledger) -> tuple[int, int] | None:
    """(good, all) of the samples that the gates accepted and a person judged; None where nobody has."""
    labels = ledger.labels()
    if not labels:
        return None
    seen = [labels[one.item.id].keep for one in ledger.outcomes() if one.item.id in labels and by_gates(one).accepted]
    return (sum(seen), len(seen)) if seen else None


def write_sheet(path: Path, drawn: Sequence[Outcome], labels: Mapping[str, Review]) -> None:
    """The drawn samples as a sheet: `.jsonl` (texts whole) or `.csv`. `keep`, `reason` and `note` are to be filled in, `keep` with y or n;
    what was said already stands there.

    In CSV no cell begins as a formula, an id begins with `#` so that no spreadsheet takes it for a number, and a long text is cut.
    Raises InputError for another suffix, StorageError when the file cannot be written.
    """
    rows = [_row(outcome, labels.get(outcome.item.id)) for outcome in drawn]
    if path.suffix == ".jsonl":
        write_jsonl(path, rows)
        return
    if path.suffix != ".csv":
        raise InputError(f"{path}: a sheet is a .csv or a .jsonl file")
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(_COLUMNS)
    for row in rows:
        conversation = "\n\n".join(f"[{turn['role']}]\n{turn['content']}" for turn in row.pop("messages"))
        keep = {True: "y", False: "n", None: ""}[row["keep"]]
        cells = row | {"id": f"#{row['id']}", "keep": keep, "conversation": conversation}
        writer.writerow([_cell(str(cells[name])) for name in _COLUMNS])
    with replacing(path) as file:
        file.write(text.getvalue().encode("utf-8-sig", "backslashreplace"))


def read_sheet(path: Path, known: Iterable[str], *, reviewer: str, time: str) -> Sheet:
    """The labels of a filled sheet, CSV (comma or semicolon) or JSON Lines; rows whose `keep` is blank say nothing.

    `known` are the ids of the run. Raises InputError naming file and row for anything else: an unknown id, a `keep` that is neither y nor
    n, a text that is too long.
    """
    ids = frozenset(known)
    reviews, blank = [], 0
    for place, row in _rows(path):
        keep = str("" if row.get("keep") is None else row["keep"]).strip().lower()
        if not keep:
            blank += 1
            continue
        name = _plain(row.get("id")).removeprefix("#")
        if name not in ids:
            raise InputError(f"{path}, {place}: id {name[:80]!r}: the run has no sample of that id; ids are to stay as they were written")
        if keep not in _YES | _NO:
            raise InputError(f"{path}, {place}: keep {keep[:40]!r}: write y to keep, n to reject, nothing to skip")
        by = _plain(row.get("reviewer")) or reviewer
        told = Review(name, keep in _YES, _plain(row.get("reason")), _plain(row.get("note")), by, time)
        _check_texts(told, f"{path}, {place}")
        reviews.append(told)
    return Sheet(tuple(reviews), blank)


def news(reviews: Sequence[Review], labels: Mapping[str, Review]) -> list[Review]:
    """Those that say something else than what is in force: a sheet that is read twice changes nothing."""
    return [one for one in reviews if one.sample not in labels or _said(one) != _said(labels[one.sample])]


def _said(one: Review) -> tuple[bool, str, str]:
    return one.keep, one.reason, one.note


def _check_texts(one: Review, where: str) -> None:
    for name, text, most in (("reason", one.reason, MAX_REASON), ("note", one.note, MAX_NOTE), ("reviewer", one.reviewer, MAX_REASON)):
        if len(text) > most:
            raise InputError(f"{where}: the {name} has {len(text)} characters, at most {most}")


def _row(outcome: Outcome, label: Review | None) -> dict[str, Any]:
    assert isinstance(outcome.item, Sample)  # `draw` draws nothing else
    return {
        "id": outcome.item.id,
        "keep": label.keep if label else None,
        "reason": label.reason if label else "",
        "note": label.note if label else "",
        "drawn_from": "accepted" if outcome.accepted else f"rejected by {outcome.reasons[0]}",
        "topic": outcome.task.topic,
        "strategy": outcome.task.strategy,
        "messages": as_dicts(outcome.item.messages),
    }


def _cell(text: str) -> str:
    """A text that no spreadsheet takes for a formula, short enough for a cell.

    >>> _cell('=HYPERLINK("x")')
    '\\'=HYPERLINK("x")'
    """
    shown = text if len(text) <= _MAX_CELL else f"{text[:_MAX_CELL]}… (cut)"
    shown = shown.replace("\x00", "\ufffd")
    return f"'{shown}" if shown.lstrip().startswith(_FORMULA) or shown.startswith(_FORMULA) else shown


def _plain(value: Any) -> str:
    """What a person wrote into a cell, without the guard of `_cell`."""
    text = "" if value is None else str(value).strip()
    return text[1:].strip() if text.startswith("'") and text[1:].lstrip().startswith(_FORMULA) else text


def _rows(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """(place, row) of a sheet."""
    try:
        if path.stat().st_size > _MAX_SHEET_BYTES:
            raise InputError(f"{path}: larger than {_MAX_SHEET_BYTES // 2**20} MiB: no sheet of ours")
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise InputError(f"{path}: {(error.strerror or str(error)).lower()}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: byte {error.start + 1} is not UTF-8: save the sheet as CSV UTF-8") from error
    return _json_rows(path, text) if path.suffix == ".jsonl" else _csv_rows(path, text)


def _json_rows(path: Path, text: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                row = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise InputError(f"{path}, line {number}: no JSON: {error}") from error
            if not isinstance(row, dict) or "id" not in row:
                raise InputError(f"{path}, line {number}: a row is an object with id, keep, reason and note")
            yield f"line {number}", row


def _csv_rows(path: Path, text: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    head = text.split("\n", 1)[0]
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=";" if head.count(";") > head.count(",") else ",")
    try:
        missing = [name for name in ("id", "keep") if name not in (reader.fieldnames or ())]
        if missing:
            raise InputError(f"{path}: no column '{missing[0]}': a sheet begins with {', '.join(_COLUMNS[:4])}")
        for number, row in enumerate(reader, 1):
            yield f"row {number}", row
    except csv.Error as error:
        raise InputError(f"{path}: no CSV: {error}") from error
