"""`sluice export RUN`: formats, containers, documents and the push, from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gen.commands import call
from gen.containers import read_rows
from gen.containers.rows import Row

Captured = pytest.CaptureFixture[str]


def test_a_run_is_written_in_another_format_and_container(small_run: Path, capsys: Captured) -> None:
    assert call(["export", str(small_run), "--formats", "openai,documents", "--container", "parquet", "--max-words", "5", "--json"]) == 0
    files = json.loads(capsys.readouterr().out)["files"]
    assert {"sft-openai/train.parquet", "documents/train.parquet", "README.md"} <= set(files)
    assert not (small_run / "sft").exists()
    texts = {}
    for split in ("train", "validation", "test"):
        for row in read_rows(small_run / "documents" / f"{split}.parquet"):
            assert isinstance(row, Row)
            texts[row.fields["document"]] = texts.get(row.fields["document"], "") + row.fields["text"]
    accepted = [json.loads(line) for line in (small_run / "accepted.jsonl").read_text(encoding="utf-8").splitlines()]
    assert texts == {row["id"]: row["messages"][-1]["content"] for row in accepted}
    assert call(["export", str(small_run)]) == 0
    assert (small_run / "sft" / "train.jsonl").is_file()
    assert not (small_run / "documents").exists()


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--max-words", "5"], "--max-words is for documents: add --formats documents"),
        (["--layout", "alpaca"], "--layout and --columns are for datasets"),
        (["--out", "elsewhere"], "is the folder of --lab"),
        (["--formats", "chatm"], "did you mean 'chatml'"),
        (["--push", "owner/name"], "no token: set HF_TOKEN"),
        (["--push", "name"], "write owner/name"),
        (["--public"], "add --push owner/name"),
        (["--model", "owner/name"], "add --trainer"),
    ],
)
def test_a_wrong_wish_changes_nothing(
    arguments: list[str], problem: str, small_run: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_TOKEN", raising=False)
    before = {path: path.stat().st_mtime_ns for path in small_run.rglob("*.jsonl")}
    assert call(["export", str(small_run), *arguments]) == 2
    shown = capsys.readouterr().err
    assert problem in shown
    assert shown.count("\n") == 1
    assert {path: path.stat().st_mtime_ns for path in small_run.rglob("*.jsonl")} == before


def test_a_folder_without_a_run_or_splits_is_told_what_would_be_one(tmp_path: Path, capsys: Captured) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    assert call(["export", str(tmp_path), "--to", "chatml", "--out", str(tmp_path / "out")]) == 2
    assert "is neither a run's folder (no run.db) nor one of splits (train.jsonl, " in capsys.readouterr().err


def test_a_folder_whose_files_name_one_split_twice_loses_no_record(tmp_path: Path, capsys: Captured) -> None:
    (tmp_path / "train.jsonl").write_text('{"prompt": "a", "completion": "b"}\n')
    (tmp_path / "train.csv").write_text("prompt,completion\nc,d\n")
    assert call(["export", str(tmp_path), "--to", "chatml", "--out", str(tmp_path / "out")]) == 2
    assert "train.csv and train.jsonl are both named for the split train" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_shards_are_written_as_one_split(tmp_path: Path) -> None:
    for at in range(2):
        (tmp_path / f"train-0000{at}-of-00002.jsonl").write_text(f'{{"prompt": "{at}", "completion": "b"}}\n')
    assert call(["export", str(tmp_path), "--to", "alpaca", "--out", str(tmp_path / "out")]) == 0
    rows = [json.loads(line) for line in (tmp_path / "out" / "train.jsonl").read_text().splitlines()]
    assert [row["instruction"] for row in rows] == ["0", "1"]


def test_what_was_written_of_a_folder_is_a_folder_of_splits_again(tmp_path: Path) -> None:
    for split in ("train", "test"):
        (tmp_path / f"{split}.jsonl").write_text(json.dumps({"prompt": split, "completion": "b"}) + "\n")
    assert call(["export", str(tmp_path), "--to", "alpaca", "--out", str(tmp_path / "one")]) == 0
    assert call(["export", str(tmp_path / "one"), "--to", "sharegpt", "--out", str(tmp_path / "two")]) == 0
    rows = json.loads((tmp_path / "two" / "test" / "test.jsonl").read_text())
    assert [turn["value"] for turn in rows["conversations"]] == ["test", "b"]
