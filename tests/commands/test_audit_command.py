from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from gen.commands import call
from gen.files import write_jsonl

RECIPE = """
name: small
seed: 3
models:
  writer: {provider: simulator}
sources: {topics: [bread, cheese, trains]}
strategies:
  - {name: self_instruct, model: writer}
goal: {per_topic: 5}
export: {split: {train: 0.6, validation: 0.2, test: 0.2}}
"""
CARD = """
card: {source: ours, license: mit, usage_rights: [training], sensitivity: public, derived_artifacts: model, retention: a year,
  deletion: by hand, owner: Ada, owner_approved: 2026-01-02, reviewer: Bob, reviewer_approved: 2026-01-03}
"""
PLACES = "river desert valley harbour glacier orchard canyon meadow lagoon plateau".split()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    rows = [{"instruction": f"Where is the {place}?", "output": f"The {place} is where it always was."} for place in PLACES]
    write_jsonl(tmp_path / "a.jsonl", rows)
    return tmp_path


def run(folder: Path, card: str = "") -> Path:
    (folder / "r.yaml").write_text(RECIPE + card)
    assert call(["run", "r.yaml", "--out", "run", "--cache", "cache.db", "--quiet"]) == 0
    return folder / "run"


def standard(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    capsys.readouterr()
    assert call(["audit", "run", "--standard", "lab", "--json"]) in (0, 1)
    return {one["name"]: one["result"] for one in json.loads(capsys.readouterr().out)["standard"]["criteria"]}


def test_sound_data_ends_with_0_and_issues_with_1(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["audit", "a.jsonl"]) == 0
    assert "a: 10 records" in capsys.readouterr().out
    write_jsonl(folder / "b.jsonl", [{"instruction": "Why?", "output": ""}])
    assert call(["audit", "a.jsonl", "b.jsonl"]) == 1
    told = capsys.readouterr().out
    assert "ISSUE empty messages: 1 of 11" in told
    assert "at b:1" in told
    assert "mend: " in told


def test_the_page_and_the_figures_are_written(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["audit", "a.jsonl", "--out", "out", "--html", "page.html", "--json"]) == 0
    assert (folder / "page.html").read_text() == (folder / "out" / "audit.html").read_text()
    assert json.loads((folder / "out" / "audit.json").read_text()) == json.loads(capsys.readouterr().out)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(["gone.jsonl"], "no such file or folder: gone.jsonl", id="missing"),
        pytest.param(["empty"], "empty holds no dataset: name a file", id="folder"),
        pytest.param(["a.jsonl", "--standard", "lab"], "--standard lab is for one run's folder", id="standard of a file"),
        pytest.param(["a.jsonl", "--chat-template", "chatml"], "--chat-template needs --tokenizer", id="template alone"),
        pytest.param(["a.jsonl", "--max-length", "-1"], "max-length", id="negative"),
    ],
)
def test_wrong_arguments_are_one_line(folder: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "empty").mkdir()
    assert call(["audit", *arguments]) == 2
    told = capsys.readouterr().err
    assert message in told
    assert told.count("\n") == 1


def test_a_run_of_the_simulator_is_never_sound(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(folder)
    capsys.readouterr()
    assert call(["audit", "run"]) == 1
    assert "ISSUE written by the simulator: 15 of 15" in capsys.readouterr().out


def test_the_lab_standard_says_what_nobody_has_reviewed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(folder, CARD)
    assert standard(capsys) == {
        "validity": "pass",
        "quality": "not reviewed",
        "governance": "pass",
        "privacy": "pass",
        "split discipline": "pass",
        "reproducibility": "pass",
    }


def test_ticks_of_a_person_decide_the_quality(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(folder, CARD)
    assert call(["export", "run", "--lab"]) == 0
    report = folder / "run" / "lab" / "quality-report.md"
    whole = report.read_text()
    assert standard(capsys)["quality"] == "not reviewed"
    report.write_text(whole.replace("- [ ]", "- [x]"))
    assert standard(capsys)["quality"] == "pass"
    assert call(["audit", "run", "--standard", "lab"]) == 0
    report.write_text(re.sub(r"- \[ \]", "- [x]", whole, count=4 * 8))  # eight of ten
    assert standard(capsys)["quality"] == "fail"


def test_a_blank_card_fails_and_one_without_approval_waits(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(folder, "card: {owner: Ada}\n")
    assert standard(capsys)["governance"] == "fail"
    (folder / "r.yaml").write_text(RECIPE + CARD.replace("owner_approved: 2026-01-02, ", ""))
    assert call(["export", "run", "--recipe", "r.yaml"]) == 0
    assert standard(capsys)["governance"] == "not reviewed"


def test_files_changed_after_the_run_are_noticed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = run(folder, CARD)
    (made / "accepted.jsonl").write_bytes((made / "accepted.jsonl").read_bytes() + b"{}\n")
    test = made / "sft" / "test.jsonl"
    test.write_bytes(test.read_bytes() + (made / "sft" / "train.jsonl").read_bytes().splitlines(keepends=True)[0])
    found = standard(capsys)
    assert (found["reproducibility"], found["split discipline"]) == ("fail", "fail")


def test_nothing_nasty_crashes(folder: Path, shared_data: Path) -> None:
    for path in sorted((shared_data / "nasty").iterdir()):
        assert call(["audit", str(path), "--html", "n.html"]) in (0, 1, 2), path.name
