from __future__ import annotations

import json
from pathlib import Path

import pytest

from gen.commands import call
from gen.files import write_jsonl

FIVE = "river desert valley harbour glacier".split()
ROWS = [{"instruction": f"Tell me about the {place}{at}.", "output": f"A {place}."} for at in range(12) for place in FIVE]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_jsonl(tmp_path / "a.jsonl", ROWS)
    (tmp_path / "mix.yaml").write_text("name: blend\nseed: 2\ntotal: 30\ndatasets:\n  a: {path: a.jsonl, weight: 1, human: true}\n")
    return tmp_path


def test_a_mix_is_written_with_its_papers(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["mix", "mix.yaml"]) == 0
    out = folder / "mixes" / "blend"
    assert sorted(path.name for path in out.iterdir()) == ["README.md", "mix.json", "test.jsonl", "train.jsonl", "validation.jsonl"]
    facts = json.loads((out / "mix.json").read_text())
    assert facts["files"]["train.jsonl"]["rows"] == len((out / "train.jsonl").read_bytes().splitlines()) == 30
    assert facts["datasets"]["a"]["splits"]["train"]["got"] == 30
    assert "people wrote 100" in capsys.readouterr().out


def test_two_runs_write_the_same_bytes(folder: Path) -> None:
    assert call(["mix", "mix.yaml", "--out", "one"]) == call(["mix", "mix.yaml", "--out", "two"]) == 0
    for path in sorted((folder / "one").iterdir()):
        assert path.read_bytes() == (folder / "two" / path.name).read_bytes()


def test_a_shortfall_is_written_named_and_exit_1(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "mix.yaml").write_text("name: blend\ntotal: 1000\nmax_repeats: 2\ndatasets:\n  a: {path: a.jsonl, weight: 1}\n")
    assert call(["mix", "mix.yaml", "--json"]) == 1
    facts = json.loads(capsys.readouterr().out)
    part = facts["datasets"]["a"]["splits"]["train"]
    assert (part["asked"], part["repeats_least"], part["repeats_most"]) == (1000, 2, 2)
    assert facts["short"] == part["short"] == 1000 - part["got"]
    assert any("no human data" in said for said in facts["warnings"])


def test_a_leak_writes_nothing_and_exit_1(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_jsonl(folder / "exam.jsonl", ROWS[:1])
    (folder / "mix.yaml").write_text("name: b\nsplit: {test: 0}\ndatasets:\n  a: {path: a.jsonl, weight: 1}\nagainst: exam.jsonl\n")
    assert call(["mix", "mix.yaml"]) == 1
    assert "a/1 (train) and line 1 (exam.jsonl): near_duplicate" in capsys.readouterr().out
    assert not (folder / "mixes").exists()


def test_a_folder_of_something_else_is_never_replaced(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "out").mkdir()
    (folder / "out" / "mine.txt").write_text("keep")
    assert call(["mix", "mix.yaml", "--out", "out"]) == 2
    assert "exists and holds no mix" in capsys.readouterr().err
    assert (folder / "out" / "mine.txt").read_text() == "keep"


def test_nothing_nasty_crashes(folder: Path, shared_data: Path) -> None:
    for path in sorted((shared_data / "nasty").iterdir()):
        (folder / "n.yaml").write_text(f"name: n\ndatasets:\n  n: {{path: '{path}', weight: 1}}\n  a: {{path: a.jsonl, weight: 1}}\n")
        assert call(["mix", "n.yaml", "--out", "nasty"]) in (0, 1, 2), path.name
