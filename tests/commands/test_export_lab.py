"""`sluice export RUN --lab`: lines of instruction and output that lose nothing unsaid, and papers that agree with the run."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from gen.commands import call
from gen.errors import StorageError
from gen.exporters.lab.inspect import inspection
from gen.ledger import Ledger
from gen.types import Message, Outcome, Provenance, Sample, Task

Captured = pytest.CaptureFixture[str]


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def everything(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def lab(run: Path, *more: object) -> Path:
    assert call(["export", str(run), "--lab", *map(str, more)]) == 0
    return run / "lab"


def refusal(capsys: Captured, *arguments: object) -> str:
    capsys.readouterr()
    assert call(["export", *map(str, arguments)]) == 2
    return capsys.readouterr().err


def test_every_line_has_exactly_instruction_and_output_as_accepted(small_run: Path) -> None:
    folder = lab(small_run)
    made = lines(folder / "small_sft_dataset.jsonl")
    accepted = [{turn["role"]: turn["content"] for turn in row["messages"]} for row in lines(small_run / "accepted.jsonl")]
    assert made == [{"instruction": turns["user"], "output": turns["assistant"]} for turns in accepted]
    assert [list(row) for row in made] == [["instruction", "output"]] * 14


def test_the_splits_are_those_of_the_run_and_make_up_the_whole(small_run: Path) -> None:
    folder = lab(small_run)
    whole = lines(folder / "small_sft_dataset.jsonl")
    parts = {path.stem: lines(path) for path in (folder / "splits").iterdir()}
    assert set(parts) == {"train", "validation", "test"}
    for split, part in parts.items():
        sft = lines(small_run / "sft" / f"{split}.jsonl")
        assert [row["instruction"] for row in part] == [row["messages"][1]["content"] for row in sft]
    assert sorted(json.dumps(row) for part in parts.values() for row in part) == sorted(map(json.dumps, whole))


def test_the_readme_tells_how_it_was_made_cleaned_and_reviewed(small_run: Path) -> None:
    readme = (lab(small_run) / "README.md").read_text(encoding="utf-8")
    rejected = lines(small_run / "rejected.jsonl")
    assert "Made with the simulator: never train on it." in readme.splitlines()[3]
    assert "| writer | simulator | simulated-writer |" in readme
    assert re.search(r"\| self_instruct/instruct \| [0-9a-f]{8,} \|", readme)
    assert "| near_dup | threshold 0.7" in readme
    assert f"{len(rejected)} of {14 + len(rejected)} candidates were rejected" in readme
    counted = readme[readme.index("| Gate | Reason | Rejected |") : readme.index("## What is left out")]
    assert sum(int(count) for count in re.findall(r"\| (\d+) \|", counted)) == len(rejected)
    assert "**No person has judged its samples yet.**" in readme
    assert "- Owner: not stated" in readme
    assert re.search(r"\| test \| \d+ \| ", readme)
    assert "## Limits" in readme


def test_the_system_message_that_is_left_out_is_quoted(small_run: Path) -> None:
    readme = (lab(small_run) / "README.md").read_text(encoding="utf-8")
    assert "14 examples were generated with a system message, which is **not** in the lines." in readme
    assert "```text\nYou answer for a bank | in *plain* words.\n```" in readme


def test_ten_samples_to_inspect_are_the_same_each_time(small_run: Path) -> None:
    folder = lab(small_run)
    before = everything(folder)
    report = before["quality-report.md"].decode()
    assert len(re.findall(r"^### \d+\. ", report, flags=re.MULTILINE)) == 10
    assert report.count("## 10 samples to inspect") == 1
    shown = [row for row in lines(folder / "small_sft_dataset.jsonl") if row["instruction"] in report and row["output"] in report]
    assert len(shown) >= 10
    assert everything(lab(small_run)) == before


def test_texts_are_never_markdown() -> None:
    hostile = Sample(
        "a|b`", (Message("user", "```\n# Owned\n<script>"), Message("assistant", "x\u202ey")), provenance=Provenance(topic="<b>*")
    )
    section = inspection([hostile], {"a|b`": "train"}, seed=1)
    assert "````text\n```\n# Owned\n<script>\n````" in section
    assert "&lt;b&gt;\\*" in section
    assert "\u202e" not in section


def add(run: Path, *samples: Sample) -> None:
    ledger = Ledger(run / "run.db")
    task = Task("self_instruct", "Basel III capital", 900, 0, 1)
    ledger.write([(900 + place, Outcome(task, sample)) for place, sample in enumerate(samples)])
    ledger.close()


def test_what_a_line_cannot_hold_is_reported_with_its_reason(small_run: Path, capsys: Captured) -> None:
    exchange = (Message("user", "Why?"), Message("assistant", "Because."))
    add(small_run, Sample("long", exchange * 2), Sample("odd", (*exchange, Message("tool", "{}"))))
    folder = lab(small_run)
    assert "14 lines of instruction and output" in (shown := capsys.readouterr().out)
    assert "2 left out (multi_turn 1, tool_turn 1)" in shown
    assert [(line["id"], line["reason"]) for line in lines(folder / "left-out.jsonl")] == [("long", "multi_turn"), ("odd", "tool_turn")]
    assert "| multi_turn | 1 |" in (folder / "README.md").read_text(encoding="utf-8")
    assert len(lines(folder / "small_sft_dataset.jsonl")) == 14


def test_a_run_of_long_conversations_only_says_why_there_is_no_package(small_run: Path, capsys: Captured) -> None:
    ledger = Ledger(small_run / "run.db")
    ledger.keep_only(set())
    ledger.close()
    assert "nothing for a lab package: the run has no accepted sample" in refusal(capsys, small_run, "--lab")
    add(small_run, Sample("long", (Message("user", "Why?"), Message("assistant", "Because.")) * 2))
    assert "the first, 'long': 2 exchanges, a line holds one" in refusal(capsys, small_run, "--lab")
    assert not (small_run / "lab").exists()


def test_the_package_may_lie_elsewhere(small_run: Path, tmp_path: Path, capsys: Captured) -> None:
    lab(small_run, "--out", tmp_path / "course" / "package", "--json")
    made = json.loads(capsys.readouterr().out)
    assert made["lab"] == str(tmp_path / "course" / "package")
    assert sum(made["lab_rows"].values()) == 14
    assert not (small_run / "lab").exists()
    assert "is the folder of --lab" in refusal(capsys, small_run, "--out", tmp_path / "elsewhere")


def test_an_earlier_package_is_replaced_and_a_file_of_somebodys_own_never(small_run: Path, capsys: Captured) -> None:
    folder = lab(small_run)
    (folder / "old_sft_dataset.jsonl").write_text("{}\n", encoding="utf-8")
    lab(small_run)
    assert not (folder / "old_sft_dataset.jsonl").exists()
    (folder / "notes").mkdir()
    (folder / "notes" / "mine.md").write_text("mine", encoding="utf-8")
    assert "holds files that are not of a lab package: notes/mine.md; move them" in refusal(capsys, small_run, "--lab")
    assert (folder / "notes" / "mine.md").read_text(encoding="utf-8") == "mine"


def test_a_package_that_cannot_be_finished_leaves_the_earlier_one(
    small_run: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = everything(lab(small_run))

    def full(path: Path, text: str) -> None:
        raise StorageError(f"cannot write {path.name}: no space left on device")

    monkeypatch.setattr("gen.lab.write_text", full)
    assert "no space left on device" in refusal(capsys, small_run, "--lab")
    assert everything(small_run / "lab") == before
    assert not [path for path in small_run.iterdir() if path.suffix in (".partial", ".old")]


def test_no_paper_holds_a_path_of_this_machine(small_run: Path, tmp_path: Path) -> None:
    for name, content in everything(lab(small_run)).items():
        assert str(tmp_path).encode() not in content, name
        assert str(Path.cwd()).encode() not in content, name


def test_a_folder_that_is_no_run_is_left_as_it_was(tmp_path: Path, capsys: Captured) -> None:
    (tmp_path / "mine").mkdir()
    assert "is neither a run's folder" in refusal(capsys, tmp_path / "mine", "--lab")
    assert list((tmp_path / "mine").iterdir()) == []
    shutil.rmtree(tmp_path / "mine")
    assert "no such run folder" in refusal(capsys, tmp_path / "mine")
