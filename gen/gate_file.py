"""Put a dataset through gates: records in; accepted, rejected and unreadable lines out, nothing lost between them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gen.errors import InputError
from gen.files import json_line, replacing
from gen.pipeline import NamedGate
from gen.records import Record, Unreadable, read_records
from gen.types import Message, Sample, Verdict

OUTPUTS = ("accepted.jsonl", "rejected.jsonl", "unreadable.jsonl")
FATE_KEYS = ("gate", "reason", "detail", "reasons")
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


def gate_file(path: Path, out: Path, gates: Sequence[NamedGate], *, progress: Callable[[GateCounts], None] = lambda _: None) -> GateCounts:
    """Write `out`/accepted.jsonl (the input's lines as they came; a redacting gate's replacement as `messages` beside them),
    rejected.jsonl (with gate, reason, detail, reasons) and unreadable.jsonl (line, reason, detail).

    All three appear together at the end, or none. Raises InputError when the file cannot be read or would be overwritten, or when `out`
    is a run's folder; StorageError when `out` cannot be written.
    """
    _refuse_to_overwrite(path, out)
    counts = GateCounts()
    with ExitStack() as stack:
        accepted, rejected, unreadable = (stack.enter_context(replacing(out / name)) for name in OUTPUTS)
        for record in read_records(path):
            if isinstance(record, Unreadable):
                counts.unreadable += 1
                counts.unreadable_reasons[record.reason] += 1
                counts.unreadable_lines.append(record.line)
                unreadable.write(json_line({"line": record.line, "reason": record.reason, "detail": record.detail}))
            else:
                sample, verdicts = judge(record.sample, gates)
                failed = [verdict for verdict in verdicts if not verdict.keep]
                if failed:
                    counts.rejected += 1
                    counts.reasons[f"{failed[0].gate}/{failed[0].reason}"] += 1
                    rejected.write(json_line(rejected_row(record, failed)))
                else:
                    counts.accepted += 1
                    counts.replaced += sample is not record.sample
                    accepted.write(record.raw + b"\n" if sample is record.sample else json_line(_replaced(record, sample.messages)))
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


def _refuse_to_overwrite(path: Path, out: Path) -> None:
    """Raise InputError where the outputs would replace the input, or the files of a run, which are its ledger's."""
    if (out / "run.db").exists():
        raise InputError(f"{out} is a run's folder, whose accepted.jsonl and rejected.jsonl would be replaced: take another --out")
    for output in (out / name for name in OUTPUTS):
        if output.exists() and path.exists() and output.samefile(path):
            raise InputError(f"{output} is the file to be read, which would be overwritten: take another --out")


def _replaced(record: Record, messages: Sequence[Message]) -> Mapping[str, Any]:
    kept = {key: value for key, value in record.fields.items() if key not in ("messages", "conversations", "conversation", "system")}
    for key in ("instruction", "input", "output", "prompt", "completion", "response", "question", "answer", "query"):
        kept.pop(key, None)
    return kept | {"messages": [{"role": one.role, "content": one.content} for one in messages]}
