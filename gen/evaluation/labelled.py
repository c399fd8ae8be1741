"""Labelled items: records of any layout with a column that says whether to keep them, pairs that say whether they are duplicates, and the
samples of a run that a person reviewed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gen.containers import read_rows
from gen.containers.rows import Row, Unreadable
from gen.errors import InputError
from gen.ledger import Ledger
from gen.records.layouts import Problem, find_layout
from gen.review import by_gates
from gen.types import Message, Outcome, Sample

LABELS = ("keep", "duplicate", "label")  # the columns looked for where none is named
_TRUE, _FALSE = frozenset({"true", "yes", "y", "1"}), frozenset({"false", "no", "n", "0"})
_GOOD = frozenset({"keep", "good", "accept", "accepted", "pass", "ok", "clean"})
_BAD = frozenset({"reject", "rejected", "bad", "drop", "fail", "duplicate"})


@dataclass(frozen=True, slots=True)
class Item:
    """One labelled sample. `gate` and `reason` say what a bad one ought to be rejected for, empty where the label does not say; `before`
    is the other half of a pair: what was accepted earlier."""

    id: str
    sample: Sample
    keep: bool
    gate: str = ""
    reason: str = ""
    before: Sample | None = None


@dataclass(frozen=True, slots=True)
class Columns:
    """Which columns hold what. `label` empty is the first of LABELS that a record has; `rejected_as` are the label's values that mean
    "to be rejected" (empty: the usual words); `pair` are the two texts of a pair."""

    label: str = ""
    rejected_as: tuple[str, ...] = ()
    gate: str = "gate"
    reason: str = "reason"
    pair: tuple[str, str] = ("a", "b")


@dataclass(frozen=True, slots=True)
class Labelled:
    """Items in their order, and how many lines held none, by reason."""

    items: tuple[Item, ...]
    unreadable: Mapping[str, int]


def read_labelled(path: Path, columns: Columns) -> Labelled:
    """Every labelled record of a dataset in any container that Sluice reads. Lines that hold no record are counted.

    Raises InputError for a record without a label or with one that says neither, naming file and line.
    """
    items: list[Item] = []
    unreadable: dict[str, int] = {}
    seen: set[str] = set()
    for row in read_rows(path):
        made = row.reason if isinstance(row, Unreadable) else _item(path, row, columns)
        if isinstance(made, Item):
            items.append(made if made.id not in seen else replace(made, id=f"{made.id} (line {row.line})"))
            seen.add(made.id)
        else:
            unreadable[made] = unreadable.get(made, 0) + 1
    return Labelled(tuple(items), unreadable)


def reviewed_items(ledger: Ledger, gates: Iterable[str]) -> tuple[list[Item], dict[str, Outcome]]:
    """The samples of a run that a person labelled, and their outcomes as the gates left them. A review's reason that is one of the `gates`,
    or `gate/reason`, says which gate ought to have rejected the sample."""
    known, labels = frozenset(gates), ledger.labels()
    items, outcomes = [], {}
    for outcome in ledger.outcomes():
        label = labels.get(outcome.item.id)
        if label is not None and isinstance(outcome.item, Sample):
            gate, _, reason = label.reason.partition("/")
            named = (gate, reason) if gate in known and not label.keep else ("", "")
            items.append(Item(outcome.item.id, outcome.item, label.keep, *named))
            outcomes[outcome.item.id] = by_gates(outcome)
    return items, outcomes


def _item(path: Path, row: Row, columns: Columns) -> Item | str:
    """The item of a row, or why there is none."""
    name = columns.label or next((one for one in LABELS if one in row.fields), "")
    where = f"{path}, line {row.line}"
    if name not in row.fields:
        wanted = f"'{name}'" if name else f"'{LABELS[0]}', '{LABELS[1]}' or '{LABELS[2]}'"
        raise InputError(f"{where}: no column {wanted}: give every record a label, and name its column with --label")
    keep = _keep(where, name, row.fields[name], columns)
    given = row.fields.get("id")
    identity = str(given) if isinstance(given, str | int) and not isinstance(given, bool) else f"line {row.line}"
    gate, reason = ("", "") if keep else (_word(row.fields.get(columns.gate)), _word(row.fields.get(columns.reason)))
    one, other = (row.fields.get(column) for column in columns.pair)
    if isinstance(one, str) and isinstance(other, str):
        return Item(identity, _asked(identity, other), keep, gate, reason, before=_asked(f"{identity} (first)", one))
    found = find_layout({key: value for key, value in row.fields.items() if key != name})
    if isinstance(found, Problem):
        return found.reason
    return Item(identity, Sample(identity, found.messages, tools=found.tools), keep, gate, reason)


def _keep(where: str, name: str, value: Any, columns: Columns) -> bool:
    """Whether the label says to keep. `duplicate: true` says to reject; so does a value of `rejected_as`."""
    said = str(value).strip().lower() if isinstance(value, str | bool | int) else ""
    if columns.rejected_as:
        return said not in {one.lower() for one in columns.rejected_as}
    if said in _TRUE | _FALSE and name in ("keep", "duplicate"):
        return (said in _TRUE) == (name == "keep")
    if said in _GOOD | _BAD:
        return said in _GOOD
    shown = repr(value)[:60]
    raise InputError(f"{where}: '{name}' is {shown}: true or false, keep or reject; or say with --rejected-as which of its values reject")


def _word(value: Any) -> str:
    return value.strip()[:100] if isinstance(value, str) else ""


def _asked(name: str, text: str) -> Sample:
    return Sample(name, (Message("user", text), Message("assistant", "")))
