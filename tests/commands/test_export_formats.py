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
