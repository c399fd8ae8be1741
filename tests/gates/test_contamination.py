"""The gate `contamination`."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from gen.errors import RecipeError, SluiceError
from gen.gates.contamination import Contamination
from gen.plugins import build
from gen.types import Message, Sample

ITEM = "A lighthouse keeper climbs 212 steps each evening and rests on every landing, of which there are seven. How many steps lie between?"


def asked(instruction: str, reply: str = "Fine.") -> Sample:
    return Sample("s", (Message("user", instruction), Message("assistant", reply)))


@pytest.fixture
def items(tmp_path: Path) -> Path:
    path = tmp_path / "exam.jsonl"
    path.write_text(
        json.dumps({"id": "q7", "text": ITEM}) + "\n\n" + json.dumps({"text": "Name the rivers of northern Portugal"}) + "\n",
        encoding="utf-8",
    )
    return path


def test_a_benchmark_item_is_an_overlap(items: Path) -> None:
    verdict = Contamination(benchmarks=(), files=(str(items),)).check(asked(f"Solve this. {ITEM}"))
    assert (verdict.keep, verdict.gate, verdict.reason) == (False, "contamination", "benchmark_overlap")
    assert verdict.detail == "holds exam/q7: 100% of its rare word 4-grams (20)"


def test_an_item_without_id_is_named_by_its_line(items: Path) -> None:
    verdict = Contamination(benchmarks=(), files=(str(items),)).check(asked("Name the rivers of northern Portugal."))
    assert verdict.detail.startswith("holds exam/3: ")


def test_on_says_what_is_searched(items: Path) -> None:
    for on, kept in (("instruction", True), ("reply", False), ("both", False)):
        gate = build("gates", "contamination", {"benchmarks": [], "files": [str(items)], "on": on})
        assert gate.check(asked("Give me an example.", ITEM)).keep is kept


def test_plain_lines_are_items(tmp_path: Path) -> None:
    path = tmp_path / "exam.txt"
    path.write_text(f"{ITEM}\n", encoding="utf-8")
    assert not Contamination(benchmarks=(), files=(str(path),)).check(asked(ITEM)).keep


def test_shipped_indexes_are_used_without_any_option() -> None:
    gate = build("gates", "contamination", {})
    verdict = gate.check(asked("Thomas is very healthy, but he has to go to the hospital every day. What could be the reasons?"))
    assert verdict.detail.startswith("holds mt_bench/103: ")
    assert gate.check(asked("What could be the reasons that my houseplants lose their leaves every winter?")).keep
    time = gate.check(asked("A colleague wants to know: how can I improve my time management skills? Answer in a friendly tone."))
    assert time.detail.startswith("holds vicuna_bench/1: ")
    directions = (
        "Convert natural language into a list of turn-by-turn directions. Go west on I-10 until you hit the 101 then take it north."
    )
    assert gate.check(asked(directions)).detail.startswith("holds self_instruct/user_oriented_task_224: ")


def test_an_unknown_benchmark_is_an_error_that_lists_the_right_ones() -> None:
    with pytest.raises(
        RecipeError,
        match=r"unknown benchmark 'gsm8': did you mean 'gsm8k'\? choose from gsm8k, humaneval, mt_bench, self_instruct, vicuna_bench",
    ):
        build("gates", "contamination", {"benchmarks": ["gsm8"]})


@pytest.mark.parametrize("line", ["not json", "[1]", '{"question": "?"}', '{"text": 3}', "[" * 100_000])
def test_a_bad_line_of_a_file_is_an_error_with_its_place(tmp_path: Path, line: str) -> None:
    path = tmp_path / "exam.jsonl"
    path.write_text(f'{{"text": "one"}}\n{line}\n', encoding="utf-8")
    with pytest.raises(SluiceError, match=r"exam\.jsonl:2: .*`text`"):
        build("gates", "contamination", {"files": [str(path)]})


def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "latin.txt").write_bytes(b"\xe9t\xe9")
    for name in ("missing.jsonl", "latin.txt", ""):
        with pytest.raises(SluiceError, match="benchmark file"):
            build("gates", "contamination", {"files": [str(tmp_path / name)]})


def test_labelled_samples(shared_data: Path) -> None:
    files = (str(shared_data / "benchmarks.jsonl"),)
    gate = Contamination(benchmarks=(), files=files)
    counts: Counter[tuple[str, bool]] = Counter()
    for line in (shared_data / "contamination.jsonl").read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        counts[record["label"], not gate.check(asked(record["instruction"], record["output"])).keep] += 1
    hits, wrong, missed = counts["contaminated", True], counts["clean", True], counts["contaminated", False]
    assert 2 * hits / (2 * hits + wrong + missed) >= 0.99
    assert wrong <= 0.005 * (wrong + counts["clean", False])
