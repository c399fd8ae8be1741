from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gen.commands import call

RECIPE = """\
name: again
seed: 5
models:
  writer: {provider: simulator, simulator: {flaws: {refusal: 0.3, pii: 0.2}}}
sources:
  topics: [GDPR data retention]
strategies:
  - {name: self_instruct, model: writer, instructions_per_call: 4}
gates: [schema, refusal, pii, exact_dup, near_dup]
goal: {accepted: 16}
attempts: 1
"""


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture
def run_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    (tmp_path / "recipe.yaml").write_text(RECIPE, encoding="utf-8")
    assert call(["run", str(tmp_path / "recipe.yaml"), "--out", str(tmp_path / "run"), "--cache", str(tmp_path / "cache.db"), "-q"]) == 0
    capsys.readouterr()
    return tmp_path / "run"


def regenerate(run: Path, *options: str) -> int:
    return call(["regenerate", str(run), "--cache", str(run.parent / "cache.db"), "--json", *options])


def test_what_failed_is_asked_again_with_the_reason(run_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = rows(run_folder / "accepted.jsonl")
    failed = {row["id"]: row for row in rows(run_folder / "rejected.jsonl")}
    assert regenerate(run_folder) == 0
    result = json.loads(capsys.readouterr().out)
    after = rows(run_folder / "accepted.jsonl")
    assert after[: len(before)] == before
    new = after[len(before) :]
    assert len(new) == sum(one["accepted"] for one in result["recovered"]) > 0
    assert {row["provenance"]["parents"][0] for row in new} <= set(failed)
    assert all(row["attempt"] == 1 for row in new)


def test_only_the_named_reason_is_asked_again(run_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wanted = [row["id"] for row in rows(run_folder / "rejected.jsonl") if row["gate"] == "refusal"]
    regenerate(run_folder, "--gate", "refusal")
    result = json.loads(capsys.readouterr().out)
    assert result["asked"] == len(wanted)
    assert {one["fate"].split("/")[0] for one in result["recovered"]} == {"refusal"}


def test_what_was_recovered_survives_a_later_run_and_is_not_paid_again(run_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    regenerate(run_folder)
    capsys.readouterr()
    recovered = (run_folder / "accepted.jsonl").read_bytes()
    recipe, cache = run_folder.parent / "recipe.yaml", run_folder.parent / "cache.db"
    assert call(["run", str(recipe), "--out", str(run_folder), "--cache", str(cache), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["session"]["requests"] == 0
    assert (run_folder / "accepted.jsonl").read_bytes() == recovered


def test_a_candidate_is_asked_again_once_unless_named(run_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    failed = {row["id"] for row in rows(run_folder / "rejected.jsonl")}
    assert regenerate(run_folder, "--gate", "refusal") == 0
    capsys.readouterr()
    regenerate(run_folder, "--gate", "refusal")
    out = capsys.readouterr().out
    asked = json.loads(out)["asked"] if out.startswith("{") else 0
    left = [row for row in rows(run_folder / "rejected.jsonl") if row["gate"] == "refusal" and row["id"] not in failed]
    assert asked <= len(left) + 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        pytest.param(["--gate", "refusel"], "--gate refusel: nothing was rejected so; did you mean 'refusal'?", id="gate"),
        pytest.param(["--reason", "never"], "--reason never: nothing was rejected so", id="reason"),
        pytest.param(["--ids", "0123"], "--ids 0123: the run has no candidate of that id", id="id"),
    ],
)
def test_a_wrong_choice_is_explained(options: list[str], message: str, run_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert regenerate(run_folder, *options) == 2
    assert message in capsys.readouterr().err


def test_an_accepted_candidate_is_not_asked_again(run_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = rows(run_folder / "accepted.jsonl")[0]["id"]
    assert regenerate(run_folder, "--ids", name) == 2
    assert "was accepted" in capsys.readouterr().err


def test_the_report_says_what_asking_again_brought_and_cost(run_folder: Path) -> None:
    regenerate(run_folder)
    report = (run_folder / "quality-report.md").read_text(encoding="utf-8")
    assert "| Asked again for | Times | Accepted | Recovered | Calls | Cost | Per recovered |" in report
