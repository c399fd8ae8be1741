"""The refusal gate."""

from __future__ import annotations

import doctest
import gzip
import json
from pathlib import Path
from typing import Any

from gen.gates import refusal
from gen.plugins import build
from gen.types import Message, Sample

PARTLY = (
    "I cannot provide advice on harming plants, including weeds.\n\nInstead:\n1. Mulch the beds.\n2. Pull them by hand.\n3. Cover the soil."
)


def reason(*replies: str, **options: Any) -> str:
    turns = tuple(turn for reply in replies for turn in (Message("user", "Please do."), Message("assistant", reply)))
    return str(build("gates", "refusal", options).check(Sample("1", turns)).reason)


def test_the_example_in_the_docstring_holds() -> None:
    assert doctest.testmod(refusal).failed == 0


def test_a_refusal_is_rejected_in_any_turn() -> None:
    assert reason("I can't help with that.") == "refusal"
    assert reason("I can't help with that.", "Here it is after all.") == "refusal"


def test_a_partial_refusal_has_its_own_reason_and_may_be_allowed() -> None:
    assert reason(PARTLY) == "partial_refusal"
    assert reason(PARTLY, partial=False) == ""


def test_honest_ignorance_is_no_refusal() -> None:
    assert reason("I don't know who wrote it; no author is named in the manuscript.") == ""


def test_human_labels_are_met(shared_data: Path) -> None:
    gate = build("gates", "refusal", {})
    rows = [json.loads(line) for line in (shared_data / "refusals.jsonl").read_text(encoding="utf-8").split("\n") if line]
    flagged = [not gate.check(Sample("1", (Message("assistant", row["response"]),))).keep for row in rows]
    refused = [row["label"] != "full_compliance" for row in rows]
    hits = sum(a and b for a, b in zip(flagged, refused, strict=True))
    assert 2 * hits / (sum(flagged) + sum(refused)) >= 0.94
    assert (sum(flagged) - hits) / refused.count(False) <= 0.08


def test_ordinary_replies_are_kept(shared_data: Path) -> None:
    gate = build("gates", "refusal", {})
    with gzip.open(shared_data / "corpus.jsonl.gz", "rt", encoding="utf-8") as lines:
        replies = [json.loads(line)["output"] for line in lines]
    assert sum(not gate.check(Sample("1", (Message("assistant", reply),))).keep for reply in replies) <= 0.003 * len(replies)
