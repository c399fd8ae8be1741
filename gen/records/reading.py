"""Read a dataset of any usual shape and container, row by row, losing nothing: each row becomes a record or is named as unreadable.

Layouts are found out record by record unless one is named. Memory stays flat: one row, or one batch of a columnar file, at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gen.containers import read_rows
from gen.containers.rows import Row, Unreadable
from gen.errors import InputError
from gen.plugins import suggest
from gen.records.columns import columns_of, layout_of, renamed
from gen.records.layouts import NAMES, Found, Problem, find_layout
from gen.records.preferences import number_in
from gen.records.turns import thinking_in
from gen.types import Preference, Provenance, Sample


@dataclass(frozen=True, slots=True)
class Record:
    """One readable row: its number from 1, its bytes as they came (as JSON where they came as something else), the object and the
    sample in it, whose provenance says whether the record says that the simulator wrote it.

    `pair` is set where it is a preference; the sample is then its prompt and chosen answer. `layout` is the one it was read as."""

    line: int
    raw: bytes
    fields: Mapping[str, Any]
    sample: Sample
    layout: str = ""
    pair: Preference | None = None

    @property
    def is_text(self) -> bool:
        """Whether it is a text without turns."""
        return self.layout == "text"

    @property
    def thinking(self) -> tuple[str, str]:
        """Why no part of it may be written anew, as a reason and its detail: it would lose what a message thinks. Empty where none does."""
        place = thinking_in(self.fields)
        why = f"{place} has no place in a chat template's text or another format: put it into the content, as the model writes it"
        return ("has_thinking", why) if place else ("", "")

    @property
    def untrainable(self) -> tuple[str, str]:
        """Why no conversation can be learnt from it, as a reason and its detail; empty where one can."""
        if self.is_text:
            return "no_turns", "a text without turns is no conversation: it is for continued pretraining"
        if self.sample.label is False:
            return "undesired", "labelled as an answer that is not wanted"
        if self.pair is not None:
            return "pair", "a pair is for preference tuning; to learn its chosen answer, say --columns prompt=prompt,completion=chosen"
        return self.thinking


@dataclass(frozen=True, slots=True)
class Reading:
    """How to read a dataset: by its keys, as a layout of that name, or by the meanings of its columns."""

    layout: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)


AUTOMATIC = Reading()


def reading_of(layout: str = "", columns: str = "") -> Reading:
    """How `--layout` and `--columns` say to read. Raises InputError for an unknown layout or meaning, or for both at once."""
    if layout and columns:
        raise InputError("give --layout or --columns, not both")
    if layout and layout not in NAMES:
        raise InputError(f"--layout {layout[:80]!r}: {suggest(layout, sorted(NAMES))}")
    return Reading(layout, columns_of(columns) if columns else {})


def read_records(path: Path, reading: Reading = AUTOMATIC) -> Iterator[Record | Unreadable]:
    """Every row of a dataset: a file (JSON Lines or a JSON array, plain, gzip or Zstandard; Parquet, CSV, Arrow, text), a folder of
    `datasets.save_to_disk`, or `hub:owner/name[/config][:split]`.

    Raises InputError when the dataset as a whole cannot be read, when its first object is ambiguous or lacks a column that its layout
    needs, and at the end when one of the columns stood in none of its objects.
    """
    first, unseen, shown = True, set(reading.columns.values()), ""
    for row in read_rows(path):
        if isinstance(row, Unreadable):
            yield row
            continue
        if unseen:
            unseen.difference_update(row.fields)
            shown = shown or _shown(row.fields)
        found = _found(row.fields, reading)
        if isinstance(found, Problem):
            if first and found.reason in ("ambiguous", "missing_column"):
                raise InputError(f"{path}: row {row.line} {found.detail}")
            yield Unreadable(row.line, found.reason, found.detail)
        else:
            yield _record(row, found)
        first = False
    if unseen and shown:
        missing = next(column for column in reading.columns.values() if column in unseen)
        raise InputError(f"{path}: no row has a column {missing[:80]!r}; the first has {shown}")


def says_simulated(fields: Mapping[str, Any]) -> bool:
    """Whether a record says that the simulator wrote it.

    >>> says_simulated({"simulated": True}), says_simulated({"provenance": {"simulated": True}}), says_simulated({"simulated": "no"})
    (True, True, False)
    """
    provenance = fields.get("provenance")
    return fields.get("simulated") is True or (isinstance(provenance, Mapping) and provenance.get("simulated") is True)


def _found(fields: Mapping[str, Any], reading: Reading) -> Found | Problem:
    if not reading.columns:
        return find_layout(fields, reading.layout)
    layout = layout_of(reading.columns)
    found = find_layout(given := renamed(fields, reading.columns), "" if layout == "preference" else layout)
    if isinstance(found, Problem) and found.reason == "unknown_shape":
        missing = [column for column in reading.columns.values() if column not in fields]
        if missing:
            return Problem("missing_column", f"has no column {missing[0][:80]!r}; it has {_shown(fields)}")
        return Problem("wrong_type", f"'{reading.columns['label']}' must be true or false" if "label" in given else found.detail)
    return found


def _shown(fields: Mapping[str, Any]) -> str:
    return (", ".join(sorted(map(str, fields))[:12]) or "none")[:300]


def _record(row: Row, found: Found) -> Record:
    name, source = f"line {row.line}", Provenance(simulated=says_simulated(row.fields))
    sample = Sample(name, found.messages, provenance=source, tools=found.tools, label=found.label)
    if found.sides is None:
        return Record(row.line, row.raw, row.fields, sample, found.layout)
    score, other, margin = (number_in(row.fields, key) for key in ("chosen_score", "rejected_score", "margin"))
    origin = row.fields.get("source")
    prompt, chosen, rejected, tools = found.sides
    origin = origin if isinstance(origin, str) else ""
    made = Preference(name, prompt, chosen, rejected, score, other, margin, origin, name, source, tools)
    return Record(row.line, row.raw, row.fields, sample, found.layout, made)
