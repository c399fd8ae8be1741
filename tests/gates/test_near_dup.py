"""The gate `near_dup`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gen.errors import RecipeError
from gen.gates.near_dup import NearDup
from gen.plugins import build
from gen.types import Message, Sample


def asked(name: str, instruction: str, reply: str = "Fine.") -> Sample:
    return Sample(name, (Message("user", instruction), Message("assistant", reply)))


def test_the_same_task_in_other_words_is_a_near_duplicate() -> None:
    gate = NearDup()
    gate.remember(asked("s-1", "Describe the steps to open a bank account in Spain."))
    verdict = gate.check(asked("s-2", "Please explain the steps to open a Bank account in Spain!"))
    assert (verdict.keep, verdict.gate, verdict.reason) == (False, "near_dup", "near_duplicate")
    assert verdict.detail == "same task as s-1 (similarity 1.00, threshold 0.7)"


@pytest.mark.parametrize(
    "other", ["Describe the steps to open a bank account in Italy.", "Describe the steps to close a bank account in Spain."]
)
def test_another_name_or_verb_is_another_task(other: str) -> None:
    gate = NearDup()
    gate.remember(asked("s-1", "Describe the steps to open a bank account in Spain."))
    assert gate.check(asked("s-2", other)).keep


def test_a_duplicate_is_found_among_hundreds_of_one_template() -> None:
    gate = NearDup()
    for number in range(1_000):
        gate.remember(asked(f"s-{number}", f"A train covers {number} km in 2 hours. What is its average speed in km per hour?"))
    again = gate.check(asked("again", "a train covers 437 km in 2 hours... What's its average speed in km per hour"))
    assert again.detail.startswith("same task as s-437 ")
    assert gate.check(asked("new", "A train covers 1437 km in 2 hours. What is its average speed in km per hour?")).keep


def test_the_threshold_is_the_share_of_common_content() -> None:
    short = "Compare rail freight, road haulage, inland shipping, pipelines, cargo planes, drones, couriers and warehouses"
    longer = f"{short}, for tomatoes"
    verdicts = []
    for threshold in (0.7, 1.0):
        gate = build("gates", "near_dup", {"threshold": threshold})
        gate.remember(asked("s-1", short))
        verdicts.append(gate.check(asked("s-2", longer)).keep)
    assert verdicts == [False, True]


def test_on_reply_compares_the_answers() -> None:
    gate = NearDup(on="reply")
    gate.remember(asked("s-1", "Why?", "Because the tide follows the moon around the globe."))
    assert not gate.check(asked("s-2", "How come?", "because the tide follows the Moon around the globe")).keep
    assert gate.check(asked("s-3", "Why?", "Because of the wind over the western sea.")).keep


@pytest.mark.parametrize(
    ("options", "message"), [({"threshold": 0}, "threshold"), ({"threshold": 1.5}, "threshold"), ({"bands": 0}, "bands")]
)
def test_options_out_of_bounds_are_errors(options: dict[str, float], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        build("gates", "near_dup", options)


@settings(max_examples=50)
@given(st.lists(st.text(max_size=40), min_size=1, max_size=6), st.text(max_size=40))
def test_checking_changes_nothing_and_a_remembered_text_is_a_duplicate_of_itself(texts: list[str], other: str) -> None:
    gate = NearDup()
    for position, text in enumerate(texts):
        gate.remember(asked(f"s-{position}", text))
    first = gate.check(asked("new", other))
    assert gate.check(asked("new", other)) == first
    assert all(not gate.check(asked("again", text)).keep for text in texts)


def test_labelled_pairs(shared_data: Path) -> None:
    records = [json.loads(line) for line in (shared_data / "near_dups.jsonl").read_text(encoding="utf-8").splitlines()]
    hits = wrong = missed = 0
    for record in records:
        gate = NearDup()
        gate.remember(asked("a", record["a"]))
        called = not gate.check(asked("b", record["b"])).keep
        hits += called and record["label"] == 1
        wrong += called and record["label"] == 0
        missed += not called and record["label"] == 1
    assert 2 * hits / (2 * hits + wrong + missed) >= 0.96
    assert wrong <= 0.01 * sum(record["label"] == 0 for record in records)
