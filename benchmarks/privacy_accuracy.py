"""How well the pii, secrets and safety gates tell labelled texts apart, and what they cost: F1, recall, false positives, microseconds.

    python benchmarks/privacy_accuracy.py [FOLDER]

FOLDER holds pii_secrets.jsonl.gz, safety.jsonl and corpus.jsonl.gz (default: shared/data beside the checkout). The baseline of each
set is the rule that flags everything: an F1 that is not far above it says nothing.
"""

from __future__ import annotations

import gzip
import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from gen.plugins import build
from gen.types import Message, Sample

STRUCTURED = {"CREDIT_CARD", "EMAIL", "PHONE", "IBAN", "IP_ADDRESS", "US_SSN", "UK_NINO", "PASSPORT"}
WORDS = (65, 85)  # samples of about 75 words are timed


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parents[2] / "shared" / "data"
    gates = {name: build("gates", name, {}) for name in ("pii", "secrets", "safety")}
    texts = list(records(folder / "pii_secrets.jsonl.gz"))
    clean = [row["text"] for row in texts if row["label"] == "clean"]
    report("pii", gates["pii"], [row["text"] for row in texts if STRUCTURED & set(row["types"])], clean)
    report("secrets", gates["secrets"], [row["text"] for row in texts if row["label"] == "secret"], clean)
    asked = list(records(folder / "safety.jsonl"))
    harmful = [row["text"] for row in asked if row["label"] == "harmful"]
    benign = [row["text"] for row in asked if row["label"] == "benign"]
    report("safety", gates["safety"], harmful, benign)
    instructions = [row["text"] for row in asked if row["label"] == "harmful" and row["kind"] != "moderation_text"]
    report("safety, requests only", gates["safety"], instructions, benign)
    frightening = [row["text"] for row in asked if row["kind"] in ("scary_word_benign", "xstest_safe")]
    print(f"safety: {share(gates['safety'], frightening)} of harmless texts with frightening words")
    corpus = [pair(row["instruction"], row["output"]) for row in records(folder / "corpus.jsonl.gz")]
    for name, gate in gates.items():
        print(f"{name}: {share(gate, corpus)} of ordinary samples")
    timed = [sample for sample in corpus if WORDS[0] <= sum(len(message.content.split()) for message in sample.messages) <= WORDS[1]]
    for name, gate in gates.items():
        print(f"{name}: {microseconds(gate.check, timed):.0f} µs a sample of about 75 words ({len(timed)} samples, best of 5)")


def report(name: str, gate: Any, positive: list[str], negative: list[str]) -> None:
    hits = sum(flagged(gate, text) for text in positive)
    false = sum(flagged(gate, text) for text in negative)
    f1 = 2 * hits / (hits + false + len(positive))
    everything = 2 * len(positive) / (2 * len(positive) + len(negative))
    print(f"{name}: F1 {f1:.3f} (flag everything {everything:.3f}), recall {hits}/{len(positive)}, false positives {false}/{len(negative)}")


def share(gate: Any, items: list[Any]) -> str:
    count = sum(flagged(gate, item) for item in items)
    return f"{count}/{len(items)} = {100 * count / len(items):.2f} %"


def flagged(gate: Any, item: str | Sample) -> bool:
    return not gate.check(item if isinstance(item, Sample) else pair(item, "")).keep


def pair(prompt: str, reply: str) -> Sample:
    return Sample("1", (Message("user", prompt), Message("assistant", reply)))


def microseconds(check: Callable[[Sample], Any], samples: list[Sample]) -> float:
    best = float("inf")
    for _ in range(5):
        start = time.process_time()
        for sample in samples:
            check(sample)
        best = min(best, (time.process_time() - start) / len(samples) * 1e6)
    return best


def records(path: Path) -> Iterator[dict[str, Any]]:
    data = path.read_bytes()
    text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode("utf-8")
    yield from (json.loads(line) for line in text.split("\n") if line)


if __name__ == "__main__":
    main()
