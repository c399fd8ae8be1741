"""What is tested on must not be learnt: an export that would do it fails and says where."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gen.against import read_held, touching
from gen.commands import call
from gen.errors import InputError, LeakError
from gen.files import write_jsonl
from gen.leak_check import refuse_leaks
from gen.recipe import parse

Captured = pytest.CaptureFixture[str]
RECIPE = """
name: small
seed: 3
models:
  writer: {provider: simulator}
sources: {topics: [bread, cheese, trains]}
strategies:
  - {name: self_instruct, model: writer}
goal: {per_topic: 4}
export: {split: {train: 0.8, test: 0.2}}
"""


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "r.yaml").write_text(RECIPE)
    assert call(["run", "r.yaml", "--out", "run", "--cache", "cache.db", "--quiet"]) == 0
    return tmp_path / "run"


def prompts(run: Path, split: str) -> list[str]:
    lines = (run / "sft" / f"{split}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["messages"][0]["content"] for line in lines]


def test_an_export_that_would_teach_a_test_question_fails_and_writes_nothing(run: Path, capsys: Captured) -> None:
    (run.parent / "exam.jsonl").write_text(json.dumps({"question": f"Well, {prompts(run, 'train')[0]}", "answer": "x"}) + "\n")
    before = (run / "sft" / "train.jsonl").stat().st_mtime_ns
    capsys.readouterr()
    assert call(["export", str(run), "--against", "exam.jsonl"]) == 1
    told = capsys.readouterr().err
    assert told.startswith("sluice: exam.jsonl: 1 prompt of the training data is nearly in it (exam.jsonl:1 is nearly ")
    assert "the gate contamination (`files: [exam.jsonl]`)" in told
    assert (run / "sft" / "train.jsonl").stat().st_mtime_ns == before


def test_what_only_the_test_split_shares_may_be_there(run: Path, capsys: Captured) -> None:
    write_jsonl(run.parent / "exam.jsonl", [{"question": text, "answer": "x"} for text in prompts(run, "test")])
    capsys.readouterr()
    assert call(["export", str(run), "--against", "exam.jsonl"]) == 0
    assert "nothing of the 2 prompts of exam.jsonl is in training or validation" in capsys.readouterr().out


def test_a_recipe_names_the_files_and_a_run_fails_by_them(run: Path, capsys: Captured) -> None:
    (run.parent / "exam.jsonl").write_text(json.dumps({"text": prompts(run, "train")[0]}) + "\n")
    (run.parent / "r.yaml").write_text(RECIPE.replace("export: {", "export: {against: exam.jsonl, "))
    capsys.readouterr()
    assert call(["run", "r.yaml", "--out", "run", "--cache", "cache.db", "--quiet"]) == 1
    assert "exam.jsonl: 1 prompt of the training data is nearly in it" in capsys.readouterr().err
    (run.parent / "exam.jsonl").write_text('{"text": "Name the moons of Mars in the order of their size."}\n')
    assert call(["run", "r.yaml", "--out", "run", "--cache", "cache.db", "--quiet"]) == 0


@pytest.mark.parametrize("content", [None, "", "{}\n"], ids=["missing", "empty", "no-prompt"])
def test_a_file_that_holds_nothing_to_check_against_is_an_error_before_anything_is_asked(
    content: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "r.yaml").write_text(RECIPE.replace("export: {", "export: {against: [exam.jsonl], "))
    if content is not None:
        (tmp_path / "exam.jsonl").write_text(content)
    assert call(["run", "r.yaml", "--out", "run", "--cache", "cache.db", "--quiet"]) == 2
    told = capsys.readouterr().err
    assert "r.yaml:10: export.against: " in told
    assert "exam.jsonl" in told
    assert not (tmp_path / "run" / "accepted.jsonl").exists()


def test_a_dataset_is_checked_before_it_is_converted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    monkeypatch.chdir(tmp_path)
    asked = {"question": "Which river runs through the town of Basel in the north?", "answer": "The Rhine."}
    write_jsonl(tmp_path / "data.jsonl", [{"question": "Who painted the night watch?", "answer": "Rembrandt."}, asked])
    write_jsonl(tmp_path / "exam.jsonl", [asked])
    assert call(["export", "data.jsonl", "--to", "chatml", "--out", "out", "--against", "exam.jsonl"]) == 1
    assert "exam.jsonl:1 is nearly data.jsonl:2" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    (tmp_path / "splits").mkdir()
    write_jsonl(tmp_path / "splits" / "train.jsonl", [{"question": "Who painted the night watch?", "answer": "Rembrandt."}])
    write_jsonl(tmp_path / "splits" / "test.jsonl", [asked])
    assert call(["export", "splits", "--to", "chatml", "--out", "out", "--against", "exam.jsonl"]) == 0


def test_splits_that_leak_are_refused_unless_lineage_alone_was_asked_for(tmp_path: Path) -> None:
    recipe = parse(RECIPE, tmp_path / "r.yaml")
    with pytest.raises(LeakError, match="the splits leak: 2 groups of samples"):
        refuse_leaks(recipe, (), [], [], {}, 2)
    refuse_leaks(parse(RECIPE.replace("test: 0.2", "test: 0.2, by: lineage"), tmp_path / "r.yaml"), (), [], [], {}, 2)


def test_every_copy_of_a_held_prompt_is_found(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "exam.jsonl", [{"text": "Sort the list of numbers by size"}, {"nothing": 1}])
    held = read_held(tmp_path / "exam.jsonl")
    found = touching(held, ["sort THE list of numbers by size", "Bake a cake", "Sort the list of numbers by size!"])
    assert (held.unreadable, [(touch.at, touch.place, touch.similarity) for touch in found]) == (
        1,
        [(0, "line 1", 1.0), (2, "line 1", 1.0)],
    )
    with pytest.raises(InputError, match="no such file"):
        read_held(tmp_path / "none.jsonl")
