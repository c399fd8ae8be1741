"""Put a dataset through gates: records in; accepted, rejected and unreadable lines out, nothing lost between them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from gen.conversation import as_dicts
from gen.errors import InputError
from gen.files import json_line, replacing
from gen.pipeline import NamedGate
from gen.records import AUTOMATIC, Reading, Record, Unreadable, read_records
from gen.types import Sample, Verdict

OUTPUTS = ("accepted.jsonl", "rejected.jsonl", "unreadable.jsonl")
FATE_KEYS = ("gate", "reason", "detail", "reasons")
_BOTH_SIDES = ("pii", "secrets")  # gates that look at a pair's rejected answer too
_SPOKEN = frozenset(
    "messages conversations conversation system system_prompt instruction input inputs context output targets prompt completion response "
    "question answer query history text chosen rejected preferred_output non_preferred_output".split()
)  # the fields that a replacement stands for
PROGRESS_EVERY = 1000  # records between two calls of `progress`


@dataclass
class GateCounts:
    """What became of a file. `reasons` counts first failures as `gate/reason`; accepted + rejected + unreadable = lines with content."""

    accepted: int = 0
    rejected: int = 0
    unreadable: int = 0
    replaced: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    unreadable_reasons: Counter[str] = field(default_factory=Counter)
    unreadable_lines: list[int] = field(default_factory=list)

    @property
    def records(self) -> int:
        return self.accepted + self.rejected + self.unreadable


def gate_file(
    path: Path,
    out: Path,
    gates: Sequence[NamedGate],
    *,
    reading: Reading = AUTOMATIC,
    progress: Callable[[GateCounts], None] = lambda _: None,
) -> GateCounts:
    """Write `out`/accepted.jsonl (the input's lines as they came; a redacting gate's replacement as `messages` beside them),
    rejected.jsonl (with gate, reason, detail, reasons) and unreadable.jsonl (line, reason, detail).

    All three appear together at the end, or none. Raises InputError when the file cannot be read or would be overwritten, or when `out`
    is a run's folder; StorageError when `out` cannot be written.
    """
    _refuse_to_overwrite(path, out)
    counts = GateCounts()
    with ExitStack() as stack:
        accepted, rejected, unreadable = (stack.enter_context(replacing(out / name)) for name in OUTPUTS)
        for record in read_records(path, reading):
            if isinstance(record, Unreadable):
                counts.unreadable += 1
                counts.unreadable_reasons[record.reason] += 1
                counts.unreadable_lines.append(record.line)
                unreadable.write(json_line({"line": record.line, "reason": record.reason, "detail": record.detail}))
            else:
                sample, verdicts = judge(record.sample, _fitting(gates, record))
                blotted, objections = _other_side(record, gates)
                verdicts += objections
                failed = [verdict for verdict in verdicts if not verdict.keep]
                if failed:
                    counts.rejected += 1
                    counts.reasons[f"{failed[0].gate}/{failed[0].reason}"] += 1
                    rejected.write(json_line(rejected_row(record, failed)))
                else:
                    counts.accepted += 1
                    same = sample is record.sample and blotted is None
                    counts.replaced += not same
                    accepted.write(record.raw + b"\n" if same else json_line(_replaced(record, sample, blotted)))
            if counts.records % PROGRESS_EVERY == 0:
                progress(counts)
    return counts


def judge(sample: Sample, gates: Sequence[NamedGate]) -> tuple[Sample, list[Verdict]]:
    """Every gate's verdict in the order of `gates`; the sample as redacting gates left it. A gate with memory looks at that, wherever it
    stands: it remembers what all gates kept, so it must look at the same text."""
    early: list[Verdict | None] = []
    for one in gates:
        verdict = None if one.remembers else one.check(sample)
        sample = (verdict and verdict.replacement) or sample
        early.append(verdict)
    verdicts = [verdict or one.check(sample) for one, verdict in zip(gates, early, strict=True)]
    if all(verdict.keep for verdict in verdicts):
        for one in gates:
            if one.remembers:
                one.gate.remember(sample)
    return sample, verdicts


def rejected_row(record: Record, failed: Sequence[Verdict]) -> dict[str, Any]:
    """The input's object and its fate; keys of the input that would collide with the fate's move under `input` (under `input_fields` where
    the record has an `input` of its own)."""
    fields = dict(record.fields)
    moved = {key: fields.pop(key) for key in FATE_KEYS if key in fields}
    if moved:
        fields["input_fields" if "input" in fields else "input"] = moved
    fate = {"gate": failed[0].gate, "reason": failed[0].reason, "detail": failed[0].detail}
    return fields | fate | {"reasons": [f"{verdict.gate}/{verdict.reason}" for verdict in failed]}


def _fitting(gates: Sequence[NamedGate], record: Record) -> Sequence[NamedGate]:
    """The gates for a record: a plain text has no turns that could be in order."""
    return [one for one in gates if one.name != "schema"] if record.is_text else gates


def _other_side(record: Record, gates: Sequence[NamedGate]) -> tuple[Sample | None, list[Verdict]]:
    """What the gates against personal data and secrets say of a pair's rejected answer, which is given away with it: that side where
    they redact, and their objections. The other gates ask how good an answer is, and this one is meant to be worse."""
    if record.pair is None:
        return None, []
    before = replace(record.sample, messages=record.pair.rejected)
    after, verdicts = judge(before, [one for one in gates if one.name in _BOTH_SIDES])
    return after if after is not before else None, [verdict for verdict in verdicts if not verdict.keep]


def _refuse_to_overwrite(path: Path, out: Path) -> None:
    """Raise InputError where the outputs would replace the input, or the files of a run, which are its ledger's."""
    if (out / "run.db").exists():
        raise InputError(f"{out} is a run's folder, whose accepted.jsonl and rejected.jsonl would be replaced: take another --out")
    for output in (out / name for name in OUTPUTS):
        if output.exists() and path.exists() and output.samefile(path):
            raise InputError(f"{output} is the file to be read, which would be overwritten: take another --out")


def _replaced(record: Record, sample: Sample, rejected: Sample | None) -> Mapping[str, Any]:
    """The record with the texts that redacting gates left: `messages`; of a pair `prompt`, `chosen`, `rejected`; of a text `text`."""
    kept = {key: value for key, value in record.fields.items() if key not in _SPOKEN}
    if record.is_text:
        return kept | {"text": sample.last("assistant")}
    if record.pair is None:
        return kept | {"messages": as_dicts(sample.messages)}
    asked = len(record.pair.prompt)
    sides = {
        "prompt": sample.messages[:asked],
        "chosen": sample.messages[asked:],
        "rejected": rejected.messages if rejected else record.pair.rejected,
    }
    return kept | {name: as_dicts(side) for name, side in sides.items()}
