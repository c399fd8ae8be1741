from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gen.commands import call

GOOD = "The bank keeps the records for five years after the relationship ends, and then deletes them."


def labelled(tmp_path: Path) -> Path:
    rows: list[dict[str, Any]] = [
        {"id": f"g{n}", "prompt": f"How long are records kept in case {n}?", "completion": GOOD, "keep": True} for n in range(12)
    ]
    refused = "I'm sorry, but I can't help with that."
    rows += [
        {
            "id": f"b{n}",
            "prompt": f"Explain retention rule {n}.",
            "completion": refused,
            "keep": False,
            "gate": "refusal",
            "reason": "refusal",
        }
        for n in range(12)
    ]
    rows.append({"id": "odd", "prompt": "How long?", "completion": refused, "keep": True})
    path = tmp_path / "labelled.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_figures_per_gate_and_reason_come_with_intervals(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["gates", "evaluate", str(labelled(tmp_path)), "--gates", "refusal,length", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    rows = {row["name"]: row for row in told["figures"]}
    refusal = rows["refusal"]
    assert (refusal["true_positives"], refusal["false_positives"], refusal["false_negatives"]) == (12, 1, 0)
    assert refusal["ids"]["false_positives"] == ["odd"]
    assert refusal["recall"]["low"] < refusal["recall"]["value"] == 1.0
    assert refusal["reasons"][0]["name"] == "refusal/refusal"
    assert rows["length"]["true_negatives"] == 13


def test_people_read_a_table_and_the_mistakes_can_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "wrong.jsonl"
    assert call(["gates", "evaluate", str(labelled(tmp_path)), "--gates", "refusal", "--out", str(out)]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("25 labelled: 12 ought to be rejected, 13 kept; 95 % intervals in brackets")
    assert "refusal, false positives: odd" in shown
    (row,) = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert (row["id"], row["gate"], row["error"], row["messages"][1]["role"]) == ("odd", "refusal", "false_positive", "assistant")


def test_pairs_measure_the_gates_against_duplicates_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "pairs.jsonl"
    rows = [
        {"a": "Add 2 and 3.", "b": "Please add 2 and 3!", "duplicate": True},
        {"a": "Add 2 and 3.", "b": "Add 2 and 4.", "duplicate": False},
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    assert call(["gates", "evaluate", str(path), "--json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)["figures"]}  # type: ignore[assignment]
    assert set(rows) == {"(all gates)", "exact_dup", "near_dup"}
    assert (rows["near_dup"]["true_positives"], rows["near_dup"]["true_negatives"]) == (1, 1)  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        pytest.param(["--gates", "refusel"], "unknown gate 'refusel': did you mean 'refusal'?", id="gate"),
        pytest.param(["--gates", "refusal", "--recipe", "r.yaml"], "give --recipe or --gates, not both", id="both"),
        pytest.param(["--pair", "a"], "name two columns", id="pair"),
        pytest.param(["--label", "verdict"], "no column 'verdict'", id="label"),
    ],
)
def test_a_wrong_choice_is_one_line(options: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["gates", "evaluate", str(labelled(tmp_path)), *options]) == 2
    assert message in capsys.readouterr().err


def test_a_run_that_nobody_reviewed_says_how(small_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["gates", "evaluate", str(small_run)]) == 2
    assert "nobody has reviewed a sample of it yet" in capsys.readouterr().err


def test_a_reviewed_run_is_measured_by_its_labels(small_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    accepted, rejected = (
        [json.loads(line) for line in (small_run / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]
        for name in ("accepted", "rejected")
    )
    judged = next(row for row in rejected if row["messages"])
    sheet = tmp_path / "sheet.jsonl"
    rows = [{"id": accepted[0]["id"], "keep": "n", "reason": "near_dup"}, {"id": accepted[1]["id"], "keep": "y"}]
    rows.append({"id": judged["id"], "keep": "y"})
    sheet.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    assert call(["review", str(small_run), "--labels", str(sheet)]) == 0
    capsys.readouterr()
    assert call(["gates", "evaluate", str(small_run), "--json"]) == 0
    found = {row["name"]: row for row in json.loads(capsys.readouterr().out)["figures"]}
    assert found["near_dup"]["ids"]["false_negatives"] == [accepted[0]["id"]]
    assert judged["id"] in found[judged["gate"]]["ids"]["false_positives"]
