"""How right the gates are on labelled data: precision, recall, F1 and the share of good items flagged, per gate and set.

    python benchmarks/gate_accuracy.py FOLDER [SET ...]

FOLDER holds the labelled sets as JSONL, plain or gzipped. Each set is one function in `SETS` that yields, for every labelled item, whether
a gate ought to reject it and whether it did. F1 alone says little where most items are positive, so the false-positive rate stands
beside it. To add a gate or a set, add a function and a line to `SETS`.
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gen.plugins import build
from gen.types import Message, Sample

Row = dict[str, Any]
Decision = tuple[bool, bool]  # ought to be rejected, was rejected
OF_FORM = ("schema", "length", "language", "refusal", "truncation", "repetition", "quality", "format")


@dataclass(frozen=True, slots=True)
class Figures:
    """Counts of one set: right and wrong rejections, right and wrong acceptances, seconds of processor time."""

    true_positives: int
    false_positives: int
    false_negatives: int
    true_negatives: int
    seconds: float

    @property
    def precision(self) -> float:
        return self.true_positives / max(1, self.true_positives + self.false_positives)

    @property
    def recall(self) -> float:
        return self.true_positives / max(1, self.true_positives + self.false_negatives)

    @property
    def f1(self) -> float:
        return 2 * self.true_positives / max(1, 2 * self.true_positives + self.false_positives + self.false_negatives)

    @property
    def false_positive_rate(self) -> float:
        return self.false_positives / max(1, self.false_positives + self.true_negatives)

    @property
    def items(self) -> int:
        return self.true_positives + self.false_positives + self.false_negatives + self.true_negatives


def read(folder: Path, name: str) -> Iterator[Row]:
    """The records of `name.jsonl` or `name.jsonl.gz`; lines end at a line feed only."""
    plain = folder / f"{name}.jsonl"
    raw = plain.read_bytes() if plain.exists() else gzip.decompress((folder / f"{name}.jsonl.gz").read_bytes())
    return (json.loads(line) for line in raw.decode("utf-8").split("\n") if line)


def sample(prompt: str, reply: str) -> Sample:
    """A conversation of one prompt and one reply."""
    return Sample("1", (Message("user", prompt), Message("assistant", reply)))


def asked(row: Row) -> str:
    """Instruction and input as one user turn."""
    return f"{row['instruction']}\n\n{row['input']}" if row.get("input") else str(row["instruction"])


def languages(folder: Path) -> Iterator[Decision]:
    """Language gate: is it English? Code and degenerate strings ought to be kept."""
    gate = build("gates", "language", {"on": "reply"})
    for row in read(folder, "languages"):
        yield row["lang"] not in ("en", "und"), not gate.check(sample("", row["text"])).keep


def refusals(folder: Path) -> Iterator[Decision]:
    """Refusal gate: full and partial refusals against full compliance, delicate prompts."""
    gate = build("gates", "refusal", {})
    for row in read(folder, "refusals"):
        yield row["label"] != "full_compliance", not gate.check(sample(row["prompt"], row["response"])).keep


def ordinary_replies(folder: Path) -> Iterator[Decision]:
    """All gates of form on real training data: nothing ought to be rejected."""
    gates = [build("gates", name, {}) for name in OF_FORM]
    for row in read(folder, "corpus"):
        item = sample(asked(row), row["output"])
        yield False, sum(not gate.check(item).keep for gate in gates) > 0


def quality_of_form(folder: Path) -> Iterator[Decision]:
    """All gates of form: bad replies that a rule can detect against good ones."""
    gates = [build("gates", name, {}) for name in OF_FORM]
    for row in read(folder, "quality"):
        if row["label"] == "good" or row["detectable_by"] == "rule":
            item = sample(asked(row), row["response"])
            yield row["label"] == "bad", sum(not gate.check(item).keep for gate in gates) > 0


SETS: dict[str, Callable[[Path], Iterator[Decision]]] = {
    "languages": languages,
    "refusals": refusals,
    "quality_of_form": quality_of_form,
    "ordinary_replies": ordinary_replies,
}


def measure(decisions: Iterator[Decision]) -> Figures:
    """Every decision counted; the time includes reading the file."""
    counts = {(ought, was): 0 for ought in (True, False) for was in (True, False)}
    start = time.process_time()
    for decision in decisions:
        counts[decision] += 1
    seconds = time.process_time() - start
    return Figures(counts[True, True], counts[False, True], counts[True, False], counts[False, False], seconds)


def main() -> None:
    """Print one line per set."""
    parser = argparse.ArgumentParser(description="Precision, recall, F1 and false-positive rate of the gates on labelled data.")
    parser.add_argument("folder", type=Path, help="where the labelled JSONL files are")
    parser.add_argument("sets", nargs="*", help=f"default: all of {', '.join(SETS)}")
    options = parser.parse_args()
    unknown = [name for name in options.sets if name not in SETS]
    if unknown or not options.folder.is_dir():
        sys.exit(f"unknown set {unknown[0]!r}: choose from {', '.join(SETS)}" if unknown else f"no folder {options.folder}")
    print(f"{'set':<18}{'items':>7}{'P':>8}{'R':>8}{'F1':>8}{'FPR':>8}{'µs/item':>9}")
    for name in options.sets or SETS:
        found = measure(SETS[name](options.folder))
        shares = f"{found.precision:8.4f}{found.recall:8.4f}{found.f1:8.4f}" if found.true_positives else f"{'-':>8}" * 3
        print(f"{name:<18}{found.items:>7}{shares}{found.false_positive_rate:8.4f}{1e6 * found.seconds / max(1, found.items):9.0f}")


if __name__ == "__main__":
    main()
