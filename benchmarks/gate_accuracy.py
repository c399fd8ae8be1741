"""How right the gates are on labelled data: precision, recall, F1 with its 95 % interval and the share of good items flagged,
each set beside its bound.

    python benchmarks/gate_accuracy.py [FOLDER] [--only SET,SET]

FOLDER holds the labelled sets as JSONL, plain or gzipped; by default `shared/data` beside the checkout. Each set is a function that
yields, for every labelled item, whether it ought to be rejected and whether it was, and a line in `SETS` with its bounds. F1 alone says
little where most items are positive, so the false-positive rate stands beside it. The last set is hostile: every record has to survive
the default chain in less than a second. Exit status 1 when a bound is missed.
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gen.errors import InputError
from gen.evaluation.counts import Confusion, Share, confusion
from gen.gating.chain import judge
from gen.gating.dataset import gate_files
from gen.language import detect
from gen.pipeline import NamedGate
from gen.plugins import build
from gen.recipe import DEFAULT_GATES
from gen.types import Message, Sample

FOLDER = Path(__file__).resolve().parents[2] / "shared" / "data"
OF_FORM = ("schema", "length", "language", "refusal", "truncation", "repetition", "quality", "format")
STRUCTURED = {"CREDIT_CARD", "EMAIL", "PHONE", "IBAN", "IP_ADDRESS", "US_SSN", "UK_NINO", "PASSPORT"}
SLOWEST_SECONDS = 1.0

Row = dict[str, Any]
Decision = tuple[bool, bool]  # ought to be rejected, was rejected


@dataclass(frozen=True, slots=True)
class Set:
    """Decisions out of a folder, and the bounds they are held to (None: only shown)."""

    decisions: Callable[[Path], Iterator[Decision]]
    f1_at_least: float | None = None
    recall_at_least: float | None = None
    false_positives_at_most: float | None = None


def missed(counts: Confusion, bounds: Set) -> list[str]:
    """The bounds that do not hold, in words."""
    held = (
        ("F1", bounds.f1_at_least is None or _value(counts.f1) >= bounds.f1_at_least),
        ("recall", bounds.recall_at_least is None or _value(counts.recall) >= bounds.recall_at_least),
        ("FPR", bounds.false_positives_at_most is None or _value(counts.false_positive_rate) <= bounds.false_positives_at_most),
    )
    return [name for name, holds in held if not holds]


def _value(share: Share | None) -> float:
    return share.value if share is not None else 0.0


def read(folder: Path, name: str) -> Iterator[Row]:
    """The records of `name.jsonl` or `name.jsonl.gz`; lines end at a line feed only."""
    plain = folder / f"{name}.jsonl"
    raw = plain.read_bytes() if plain.exists() else gzip.decompress((folder / f"{name}.jsonl.gz").read_bytes())
    return (json.loads(line) for line in raw.decode("utf-8").split("\n") if line)


def sample(prompt: str, reply: str, name: str = "1") -> Sample:
    """A conversation of one prompt and one reply."""
    return Sample(name, (Message("user", prompt), Message("assistant", reply)))


def asked(row: Row) -> str:
    """Instruction and input as one user turn."""
    return f"{row['instruction']}\n\n{row['input']}" if row.get("input") else str(row["instruction"])


def flagged(gates: Iterable[Any], item: Sample) -> bool:
    """Whether any gate rejects the item; all of them are asked, as in a run."""
    return sum(not gate.check(item).keep for gate in gates) > 0


def near_dups(folder: Path) -> Iterator[Decision]:
    """Near-duplicate gate: the same task again, against pairs that differ in a number, name, negation or task."""
    for row in read(folder, "near_dups"):
        gate = build("gates", "near_dup", {})
        gate.remember(sample(row["a"], ""))
        yield row["label"] == 1, flagged([gate], sample(row["b"], "", "2"))


def languages(folder: Path) -> Iterator[Decision]:
    """Language gate: is it English? Code and degenerate strings ought to be kept."""
    gate = build("gates", "language", {"on": "reply"})
    for row in read(folder, "languages"):
        yield row["lang"] not in ("en", "und"), flagged([gate], sample("", row["text"]))


def languages_named(folder: Path) -> Iterator[Decision]:
    """The detector behind it: the share of texts in 42 languages whose language it names (shown as recall)."""
    for row in read(folder, "languages"):
        if row["lang"] not in ("und", "mixed"):
            yield True, detect(row["text"])[0] == row["lang"]


def pii_secrets(folder: Path) -> Iterator[Decision]:
    """Gates pii and secrets: structured personal data and keys against look-alikes."""
    gates = [build("gates", name, {}) for name in ("pii", "secrets")]
    for row in read(folder, "pii_secrets"):
        if row["label"] in ("clean", "secret") or STRUCTURED & set(row["types"]):
            yield row["label"] != "clean", flagged(gates, sample(row["text"], ""))


def refusals(folder: Path) -> Iterator[Decision]:
    """Refusal gate: full and partial refusals against full compliance, delicate prompts."""
    gate = build("gates", "refusal", {})
    for row in read(folder, "refusals"):
        yield row["label"] != "full_compliance", flagged([gate], sample(row["prompt"], row["response"]))


def contamination(folder: Path) -> Iterator[Decision]:
    """Contamination gate: copies and edits of benchmark items against other text of the same kind."""
    gate = build("gates", "contamination", {"benchmarks": (), "files": (str(folder / "benchmarks.jsonl"),)})
    for row in read(folder, "contamination"):
        if row["label"] in ("contaminated", "clean"):
            yield row["label"] == "contaminated", flagged([gate], sample(row["instruction"], row["output"]))


def quality(folder: Path) -> Iterator[Decision]:
    """All gates of form: bad replies that a rule can detect against good ones."""
    gates = [build("gates", name, {}) for name in OF_FORM]
    for row in read(folder, "quality"):
        if row["label"] == "good" or row["detectable_by"] == "rule":
            yield row["label"] == "bad", flagged(gates, sample(asked(row), row["response"]))


def safety(folder: Path) -> Iterator[Decision]:
    """Safety gate: harmful requests and texts against harmless ones."""
    gate = build("gates", "safety", {})
    for row in read(folder, "safety"):
        yield row["label"] == "harmful", flagged([gate], sample(row["text"], ""))


def safety_frightening(folder: Path) -> Iterator[Decision]:
    """The harmless ones with frightening words alone."""
    gate = build("gates", "safety", {})
    for row in read(folder, "safety"):
        if row["kind"] in ("scary_word_benign", "xstest_safe"):
            yield False, flagged([gate], sample(row["text"], ""))


def ordinary(*names: str) -> Callable[[Path], Iterator[Decision]]:
    """These gates on real training data: nothing ought to be rejected."""

    def decisions(folder: Path) -> Iterator[Decision]:
        gates = [build("gates", name, {}) for name in names]
        for row in read(folder, "corpus"):
            yield False, flagged(gates, sample(asked(row), row["output"]))

    return decisions


SETS = {
    "near_dups": Set(near_dups, f1_at_least=0.96, false_positives_at_most=0.01),
    "languages": Set(languages, f1_at_least=0.997, false_positives_at_most=0.01),
    "languages_named": Set(languages_named, recall_at_least=0.94),
    "pii_secrets": Set(pii_secrets, f1_at_least=0.99, false_positives_at_most=0.01),
    "pii_secrets_ordinary": Set(ordinary("pii", "secrets"), false_positives_at_most=0.003),
    "refusals": Set(refusals, f1_at_least=0.94, false_positives_at_most=0.08),
    "refusals_ordinary": Set(ordinary("refusal"), false_positives_at_most=0.003),
    "contamination": Set(contamination, f1_at_least=0.99, false_positives_at_most=0.005),
    "quality": Set(quality, f1_at_least=0.95, false_positives_at_most=0.02),
    "form_ordinary": Set(ordinary(*OF_FORM)),
    "safety": Set(safety, f1_at_least=0.68, false_positives_at_most=0.02),
    "safety_frightening": Set(safety_frightening, false_positives_at_most=0.03),
    "safety_ordinary": Set(ordinary("safety")),
}
NASTY = "nasty"


def measure(decisions: Iterator[Decision]) -> tuple[Confusion, float]:
    """Every decision counted, and the seconds of processor time it took, reading the file included."""
    start = time.process_time()
    counts = confusion(decisions)
    return counts, time.process_time() - start


def line(name: str, found: Confusion, seconds: float, bounds: Set) -> str:
    """One row of the table; the interval is F1's, or recall's where only that has a bound."""
    shares = (
        "".join(f"{_value(share):8.4f}" for share in (found.precision, found.recall, found.f1)) if found.true_positives else f"{'-':>8}" * 3
    )
    judged = found.recall if bounds.recall_at_least is not None else found.f1
    interval = f"{judged.low:.3f}–{judged.high:.3f}" if judged is not None and found.true_positives else "-"
    rate = f"{found.false_positive_rate.value:8.4f}" if found.false_positive_rate is not None else f"{'-':>8}"
    wanted = bounds.f1_at_least or bounds.recall_at_least
    least = f"{wanted:8.3f}" if wanted is not None else f"{'-':>8}"
    most = f"{bounds.false_positives_at_most:8.3f}" if bounds.false_positives_at_most is not None else f"{'-':>8}"
    wrong = missed(found, bounds)
    fate = f"FAIL {', '.join(wrong)}" if wrong else "pass" if wanted is not None or bounds.false_positives_at_most is not None else ""
    return f"{name:<22}{found.items:>7}{shares}{interval:>13}{least}{rate}{most}{1e6 * seconds / max(1, found.items):9.0f}  {fate}"


def nasty(folder: Path) -> tuple[str, bool]:
    """Hostile records and files through the default chain: a row and whether all survived, each in less than a second."""
    chain = [NamedGate(name, build("gates", name, {})) for name in DEFAULT_GATES]
    slowest, survived, total = 0.0, 0, 0
    for row in read(folder, "nasty"):
        start = time.process_time()
        judge(sample(asked(row), row["output"], row["id"]), chain)
        slowest, survived, total = max(slowest, time.process_time() - start), survived + 1, total + 1
    for row in read(folder, "nasty_manifest"):
        start = time.process_time()
        survived += _survives(folder / row["file"], row, chain)
        slowest, total = max(slowest, time.process_time() - start), total + 1
    good = survived == total and slowest < SLOWEST_SECONDS
    held = f"{survived} survived, slowest {slowest:.2f} s (below {SLOWEST_SECONDS:.0f} s)"
    return f"{NASTY:<22}{total:>7}  {held}  {'pass' if good else 'FAIL'}", good


def _survives(file: Path, expected: Row, chain: list[NamedGate]) -> bool:
    """Whether no more is kept than is good, and every broken line is told; a file that is no text at all may be refused as a whole."""
    with tempfile.TemporaryDirectory() as out:
        try:
            counts = gate_files([file], Path(out), chain)
        except InputError:
            return expected["records_valid"] is None or expected["lines_bad"] is None
    kept_few = expected["kept_max"] is None or counts.accepted <= expected["kept_max"]
    read_all = expected["records_valid"] is None or counts.accepted + counts.rejected >= expected["records_valid"]
    return kept_few and read_all


def main() -> int:
    """Print one line per set; 1 when a bound is missed."""
    parser = argparse.ArgumentParser(description="Precision, recall, F1 and false-positive rate of the gates on labelled data.")
    parser.add_argument("folder", type=Path, nargs="?", default=FOLDER, help="where the labelled JSONL files are")
    parser.add_argument("--only", default="", help=f"sets, separated by commas: {', '.join((*SETS, NASTY))}")
    options = parser.parse_args()
    names = options.only.split(",") if options.only else [*SETS, NASTY]
    if unknown := [name for name in names if name not in SETS and name != NASTY]:
        sys.exit(f"unknown set {unknown[0]!r}: choose from {', '.join((*SETS, NASTY))}")
    if not options.folder.is_dir():
        print(f"nothing measured: no labelled data in {options.folder}; name the folder that holds near_dups.jsonl, languages.jsonl.gz, …")
        return 0 if options.folder == FOLDER else 2
    print(f"{'set':<22}{'items':>7}{'P':>8}{'R':>8}{'F1':>8}{'95 %':>13}{'least':>8}{'FPR':>8}{'most':>8}{'µs/item':>9}")
    good = True
    for name in names:
        if name == NASTY:
            row, survived = nasty(options.folder)
            good = good and survived
        else:
            found, seconds = measure(SETS[name].decisions(options.folder))
            good, row = good and not missed(found, SETS[name]), line(name, found, seconds, SETS[name])
        print(row, flush=True)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
