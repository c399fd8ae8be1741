"""Run examples/demo.yaml on the embedded defaults and look at what it made: `make demo`."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import datasets

from gen.commands import call
from gen.resources import resource
from gen.templates.template_check import decode_row

HERE = Path(__file__).resolve().parent
SPLITS = ("train", "validation", "test")


def main() -> int:
    """Exit status: that of the run."""
    folder = Path(tempfile.mkdtemp(prefix="sluice-demo-")) / "demo" if "--fresh" in sys.argv else HERE.parent / "runs" / "demo"
    print("$ sluice run examples/demo.yaml\n")
    out, cache = os.path.relpath(folder), os.path.relpath(folder.parent / "cache.db")
    status = call(["run", os.path.relpath(HERE / "demo.yaml"), "--out", out, "--cache", cache])
    if status != 0:
        return status
    accepted, rejected = rows(folder / "accepted.jsonl"), rows(folder / "rejected.jsonl")
    for strategy in dict.fromkeys(row["strategy"] for row in accepted):
        heading(f"accepted, by {strategy}")
        chat(next(row for row in accepted if row["strategy"] == strategy)["messages"])
    heading("rejected")
    for row in next_of_each_gate(rejected):
        text = row["messages"][-1]["content"] if row["messages"] else row.get("text", "")
        print(f"  {row['gate'] + '/' + row['reason']:<28} {shortened(text, 80)}")
    again = next((row for row in accepted if row["attempt"] > 0), None)
    if again:
        heading(f"asked again and accepted ({again['id']}, attempt {again['attempt'] + 1}): sluice show runs/demo {again['id']}")
        chat(again["messages"])
    show_pair(folder)
    show_packed(folder)
    print(f"\nLook at {shown(folder / 'report.html')} in a browser. Everything is in {shown(folder)}.")
    return 0


def show_pair(folder: Path) -> None:
    """The first pair of whichever split has one."""
    pair = next((pair for split in SPLITS for pair in rows(folder / "preference" / f"{split}.jsonl")), None)
    if pair is None:
        heading("no pair: nothing cleared the margin, and nothing rejected was repaired")
        return
    heading(f"a pair: chosen {pair['chosen_score']}, rejected {pair['rejected_score']}, from {pair['source']}")
    chat(pair["prompt"])
    print(f"  chosen    {shortened(pair['chosen'][-1]['content'], 160)}\n  rejected  {shortened(pair['rejected'][-1]['content'], 160)}")


def show_packed(folder: Path) -> None:
    described = folder / "packed" / "pack.json"
    if not described.is_file() or not json.loads(described.read_text(encoding="utf-8"))["rows"]:
        heading("no packed row: no sample of the training split fitted")
        return
    row = datasets.load_from_disk(str(folder / "packed"))[0]
    heading(f"a packed row: {len(row['input_ids'])} tokens, {len(row['seq_lengths'])} samples; what is trained stands between » and «")
    print("  " + shortened(decoded(row), 700))


def rows(path: Path) -> list[dict[str, Any]]:
    """The objects of a JSON Lines file, none where there is no such file."""
    if not path.is_file():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def next_of_each_gate(rejected: list[dict[str, Any]]) -> list[dict[str, Any]]:
    first: dict[str, dict[str, Any]] = {}
    for row in rejected:
        first.setdefault(f"{row['gate']}/{row['reason']}", row)
    return [first[name] for name in sorted(first)]


def decoded(row: dict[str, Any]) -> str:
    """The row's text with the trained parts marked."""
    samples = decode_row(row, resource("data", "tokenizer"))
    return " │ ".join("".join(f"»{run.text}«" if run.trained else run.text for run in sample) for sample in samples)


def heading(text: str) -> None:
    print(f"\n--- {text}")


def chat(messages: list[dict[str, str]]) -> None:
    for message in messages:
        print(f"  {message['role']:<9} {shortened(message['content'], 220)}")


def shortened(text: str, most: int) -> str:
    line = " ".join(text.split())
    return line if len(line) <= most else line[: most - 1] + "…"


def shown(path: Path) -> Path:
    """As seen from the checkout where it lies in it."""
    return path.relative_to(HERE.parent) if path.is_relative_to(HERE.parent) else path


if __name__ == "__main__":
    sys.exit(main())
