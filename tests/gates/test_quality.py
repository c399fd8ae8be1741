"""The quality gate, and all rules of form together on labelled replies."""

from __future__ import annotations

import doctest
import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from gen.errors import RecipeError
from gen.gates import quality
from gen.plugins import build
from gen.types import Message, Sample, Verdict

OF_FORM = ("schema", "length", "language", "refusal", "truncation", "repetition", "quality", "format")


def check(prompt: str, reply: str, **options: Any) -> Verdict:
    verdict: Verdict = build("gates", "quality", options).check(Sample("1", (Message("user", prompt), Message("assistant", reply))))
    return verdict


def test_the_example_in_the_docstring_holds() -> None:
    assert doctest.testmod(quality).failed == 0


@pytest.mark.parametrize(
    ("prompt", "reply"),
    [
        ("Capital of France?", "Paris."),
        ("Classify the sentiment: I love it.", "Positive"),
        ("What is 2 + 2?", "4"),
        ("Is a whale a fish?", "No."),
        ("Write a Python function that doubles a number.", "def double(x):\n    return 2 * x"),
        ("Solve the puzzle.", "|1|7|5|2|4|6|9|8|3|\n" * 3),
    ],
)
def test_rightly_short_answers_are_kept(prompt: str, reply: str) -> None:
    assert check(prompt, reply).keep


def test_every_part_is_shown() -> None:
    verdict = check("Explain photosynthesis.", "I'm sorry, but I can't help with that.")
    assert verdict.reason == "low_quality"
    assert [part.split()[0] for part in verdict.detail.split(": ")[1].split(", ")] == ["length", "answer", "structure", "variety", "topic"]


@pytest.mark.parametrize(
    ("prompt", "reply", "part"),
    [
        ("Explain photosynthesis.", "I cannot provide that.", "answer 0.00"),
        ("Go on.", "la la la di da " * 30, "variety 0.00"),
        ("Write an essay on trade.", "TRADE IS WHEN PEOPLE GIVE AND TAKE THINGS AND MORE THINGS AND", "structure 0.00"),
        ("", "", "empty reply"),
    ],
)
def test_a_failed_part_is_named(prompt: str, reply: str, part: str) -> None:
    assert part in check(prompt, reply, minimum=1.0).detail


def test_a_long_reply_about_something_else_is_off_topic() -> None:
    about_actors = "She started on Broadway before she was known for her films, and then she won a prize for that role. " * 3
    more = " ".join(
        f"Actor{chr(97 + i // 26)}{chr(97 + i % 26)} played in the theatre and then in pictures which made him famous." for i in range(20)
    )
    assert "topic 0.00" in check("Write a poem about the sea.", about_actors + more).detail
    assert check("Write about actors on Broadway.", about_actors + more).keep


def test_minimum_and_weights_can_be_set() -> None:
    refused = ("Explain photosynthesis.", "I'm sorry, but I can't help with that.")
    assert check(*refused, minimum=0.5).keep
    assert check(*refused, weight_answer=0.0).keep
    assert not check(*refused, minimum=1.0, weight_answer=0.0).keep
    with pytest.raises(RecipeError):
        build("gates", "quality", {"minimum": 2})
    with pytest.raises(RecipeError):
        build("gates", "quality", {"weight_topic": -1})


def test_bad_form_is_found_and_good_replies_are_kept(shared_data: Path) -> None:
    gates = [build("gates", name, {}) for name in OF_FORM]
    with gzip.open(shared_data / "quality.jsonl.gz", "rt", encoding="utf-8") as lines:
        rows = [row for row in map(json.loads, lines) if row["label"] == "good" or row["detectable_by"] == "rule"]
    hits = flagged = bad = 0
    for row in rows:
        prompt = f"{row['instruction']}\n\n{row['input']}" if row["input"] else row["instruction"]
        sample = Sample("1", (Message("user", prompt), Message("assistant", row["response"])))
        found = any(not gate.check(sample).keep for gate in gates)
        flagged, bad, hits = flagged + found, bad + (row["label"] == "bad"), hits + (found and row["label"] == "bad")
    assert 2 * hits / (flagged + bad) >= 0.95
    assert (flagged - hits) / (len(rows) - bad) <= 0.02


def test_hostile_texts_break_no_gate(shared_data: Path) -> None:
    gates = [build("gates", name, {}) for name in OF_FORM]
    rows = [json.loads(line) for line in (shared_data / "nasty.jsonl").read_text(encoding="utf-8").split("\n") if line]
    for row in rows:
        sample = Sample("1", (Message("user", row["instruction"]), Message("assistant", row["output"])))
        for gate in gates:
            assert "\n" not in gate.check(sample).detail
