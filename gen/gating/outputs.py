"""What becomes of each row on disk: accepted as it came, rejected with its fate, unreadable with its reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gen.conversation import as_dicts
from gen.files import json_line
from gen.gating.chain import Failure
from gen.gating.inputs import Item
from gen.gating.packed import Packed, unpack, unpack_turns
from gen.records import Record, Unreadable

OUTPUTS = ("accepted.jsonl", "rejected.jsonl", "unreadable.jsonl", "warnings.jsonl")
FATE_KEYS = ("gate", "reason", "detail", "reasons")
MAX_NAMED = 1000  # unreadable rows named in the counts; all of them are in unreadable.jsonl
_SPOKEN = frozenset(
    "messages conversations conversation system system_prompt instruction input inputs context output targets prompt completion response "
    "question answer query history text chosen rejected preferred_output non_preferred_output".split()
)  # the fields that a replacement stands for


@dataclass
class GateCounts:
    """What became of the rows. `reasons` counts first failures as `gate/reason`; accepted + rejected + unreadable = rows with content.
    `warnings` counts what gates that only warn said, of accepted and rejected rows alike; `warned` are the rows they said it of.
    `unreadable_lines` are line numbers, FILE:LINE where several files were read, at most MAX_NAMED of them."""

    accepted: int = 0
    rejected: int = 0
    unreadable: int = 0
    replaced: int = 0
    warned: int = 0
    warnings: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    unreadable_reasons: Counter[str] = field(default_factory=Counter)
    unreadable_lines: list[int | str] = field(default_factory=list)

    @property
    def records(self) -> int:
        return self.accepted + self.rejected + self.unreadable

    def as_dict(self) -> dict[str, Any]:
        """The counts as JSON; `GateCounts.of` reads them again."""
        return dict(vars(self))

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> GateCounts:
        """The counts that `as_dict` wrote; all zero of nothing."""
        named = {name: Counter(told.get(name, {})) for name in ("reasons", "unreadable_reasons", "warnings")}
        return cls(**{**told, **named})


Written = tuple[str, bytes]  # which of OUTPUTS, and the line


def unreadable_row(item: Item, record: Unreadable, counts: GateCounts, *, named: bool) -> Written:
    """A row that holds no sample; `named` says where several sources are read, so that each row tells its own."""
    counts.unreadable += 1
    counts.unreadable_reasons[record.reason] += 1
    if len(counts.unreadable_lines) < MAX_NAMED:
        counts.unreadable_lines.append(item.place if named else record.line)
    row = {"line": record.line, "reason": record.reason, "detail": record.detail}
    return OUTPUTS[2], json_line(({"file": item.source.label} if named else {}) | row)


def rejected_row(item: Item, record: Record, failed: Sequence[Failure], counts: GateCounts, *, named: bool) -> Written:
    """The input's object and its fate."""
    _, gate, reason, detail = failed[0]
    counts.rejected += 1
    counts.reasons[f"{gate}/{reason}"] += 1
    fate = {"gate": gate, "reason": reason, "detail": detail, "reasons": [f"{one[1]}/{one[2]}" for one in failed]}
    return OUTPUTS[1], json_line(_clear_of(FATE_KEYS, record) | (_origin(item, record) if named else {}) | fate)


def warned_row(item: Item, record: Record, warned: Sequence[Failure], counts: GateCounts) -> Written:
    """The input's object, where it came from (since a detail may name another row so) and what gates warned of, whatever its fate is."""
    counts.warned += 1
    counts.warnings.update(f"{gate}/{reason}" for _, gate, reason, _ in warned)
    told = {"warnings": [{"gate": gate, "reason": reason, "detail": detail} for _, gate, reason, detail in warned]}
    return OUTPUTS[3], json_line(_clear_of(tuple(told), record) | _origin(item, record) | told)


def accepted_row(item: Item, record: Record, replaced: Packed | None, other: Packed | None, counts: GateCounts, *, named: bool) -> Written:
    """The row's bytes as they came (with where it came from as the last key where sources are `named`), or the record with the texts that
    redacting gates left."""
    counts.accepted += 1
    if replaced is None and other is None:
        return OUTPUTS[0], (_with_origin(record.raw, _origin(item, record)) if named else record.raw) + b"\n"
    counts.replaced += 1
    row = _replaced(record, replaced, other)
    return OUTPUTS[0], json_line(row | (_origin(item, record) if named else {}))


def _clear_of(keys: Sequence[str], record: Record) -> dict[str, Any]:
    """The input's object; what stands under these keys of it moves under `input` (`input_fields` where it has an `input` of its own)."""
    fields = dict(record.fields)
    moved = {key: fields.pop(key) for key in keys if key in fields}
    if moved:
        fields["input_fields" if "input" in fields else "input"] = moved
    return fields


def _origin(item: Item, record: Record) -> dict[str, str]:
    """Where a row came from, under a key that the record leaves free."""
    key = next(key for key in ("source", "source_row", "gated_source_row") if key not in record.fields)
    return {key: item.place}


def _with_origin(raw: bytes, origin: Mapping[str, str]) -> bytes:
    told = json_line(origin)[1:-1]
    body = raw.rstrip()[:-1].rstrip()
    return body + (told if body.endswith(b"{") else b"," + told)


def _replaced(record: Record, replaced: Packed | None, other: Packed | None) -> dict[str, Any]:
    """The record with `messages` as they are now; of a pair `prompt`, `chosen`, `rejected`; of a text `text`."""
    kept = {key: value for key, value in record.fields.items() if key not in _SPOKEN}
    sample = record.sample if replaced is None else unpack(replaced)
    if record.is_text:
        return kept | {"text": sample.last("assistant")}
    if record.pair is None:
        return kept | {"messages": as_dicts(sample.messages)}
    asked = len(record.pair.prompt)
    rejected = record.pair.rejected if other is None else unpack_turns(other)
    sides = {"prompt": sample.messages[:asked], "chosen": sample.messages[asked:], "rejected": rejected}
    return kept | {name: as_dicts(side) for name, side in sides.items()}
