from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gen.commands import call
from gen.commands.show import _one_line
from gen.types import freeze


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_an_accepted_sample_tells_its_texts_calls_verdicts_and_split(small_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sample = rows(small_run / "accepted.jsonl")[0]
    assert call(["show", str(small_run), sample["id"]]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith(f"{sample['id']}: accepted, in the ")
    assert "(simulated)" in shown.splitlines()[0]
    assert f"[user]\n{sample['messages'][1]['content']}" in shown
    assert "self_instruct.answer asked of writer (simulated/simulated-writer): " in shown
    assert "  near_dup       kept" in shown


def test_a_rejected_one_names_its_gate_and_what_came_of_it(small_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    retried = next(row for row in rows(small_run / "accepted.jsonl") if row["attempt"] > 0)
    parent = retried["provenance"]["parents"][0]
    assert call(["show", str(small_run), parent]) == 0
    shown = capsys.readouterr().out
    assert "rejected by " in shown.splitlines()[0]
    assert "REJECTED" in shown
    assert f"led to {retried['id']} (accepted, attempt 2)" in shown
    assert call(["show", str(small_run), retried["id"]]) == 0
    assert f"descends from {parent}" in capsys.readouterr().out


def test_nested_notes_are_told_as_json() -> None:
    notes = freeze({"persona": {"name": "Ada", "tags": ["a", "b"]}, "plain": "two\nlines", "none": None})
    assert [_one_line(value) for value in notes.values()] == ['{"name": "Ada", "tags": ["a", "b"]}', "two lines", "null"]


def test_json_holds_the_whole_history(small_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    row = next(row for row in rows(small_run / "accepted.jsonl") if row["attempt"] > 0)
    assert call(["show", str(small_run), row["id"], "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["accepted"], told["ancestors"], told["children"]) == (True, row["provenance"]["parents"], [])
    assert told["split"] in ("train", "validation", "test")
    assert [one["gate"] for one in told["verdicts"]][:2] == ["schema", "refusal"]
    assert len(told["calls"]) == len(row["provenance"]["requests"])


def test_the_beginning_of_an_id_is_enough_where_it_is_the_only_one(small_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = rows(small_run / "accepted.jsonl")[0]["id"]
    assert call(["show", str(small_run), name[:12]]) == 0
    assert capsys.readouterr().out.startswith(name)
    assert call(["show", str(small_run), ""]) == 2
    assert "'' begins " in capsys.readouterr().err


@pytest.mark.parametrize("name", ["zzz", "%", "_", "' OR 1=1 --"])
def test_an_id_that_is_none_is_one_line(name: str, small_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["show", str(small_run), name]) == 2
    assert capsys.readouterr().err.startswith(f"sluice: no candidate '{name}' in ")


def test_a_folder_that_is_no_run_says_what_would_make_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["show", str(tmp_path), "x"]) == 2
    assert "is no run folder: it has no run.db" in capsys.readouterr().err
    assert call(["show", str(tmp_path / "nowhere"), "x"]) == 2
    assert "no such run folder" in capsys.readouterr().err


def test_every_prompt_and_reply_behind_a_sample_is_told_from_the_cache(small_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cache = ["--texts", "--cache", str(small_run.parent / "again.db")]
    recipe, out = small_run.parent / "recipe.yaml", small_run.parent / "second"
    assert call(["run", str(recipe), "--out", str(out), *cache[1:], "-q"]) == 0
    capsys.readouterr()
    for row in [*rows(out / "accepted.jsonl"), *rows(out / "rejected.jsonl")]:
        assert call(["show", str(out), row["id"], *cache, "--json"]) == 0
        told = json.loads(capsys.readouterr().out)["exchanges"]
        assert [one["key"] for one in told] == row["provenance"]["requests"]
        if row["messages"] and not any("redacted" in reason for reason in row.get("reasons", ())):
            assert told[-1]["reply"].strip()
            assert row["messages"][-2]["content"] in told[-1]["asked"][-1]["content"]
    assert call(["show", str(out), row["id"], *cache]) == 0
    shown = capsys.readouterr().out
    assert "--- self_instruct.answer asked of writer\n[system]\n" in shown
    assert "--- replied\n" in shown


def test_texts_need_the_cache_that_was_used(small_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = rows(small_run / "accepted.jsonl")[0]["id"]
    assert call(["show", str(small_run), name, "--texts", "--cache", str(tmp_path / "none.db")]) == 2
    assert "no cache at" in capsys.readouterr().err
    assert not (tmp_path / "none.db").exists()


def test_what_a_sample_cost_is_told_with_what_it_descends_from(small_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    row = next(row for row in rows(small_run / "accepted.jsonl") if row["attempt"] > 0)
    assert call(["show", str(small_run), row["id"], "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["asked_again_for"]["gate"]
    assert told["cost"] == sum(one["cost"] for one in told["calls"])
    assert told["cost_with_ancestors"] >= told["cost"]
    assert call(["show", str(small_run), row["id"]]) == 0
    assert f"  asked again, told of {told['asked_again_for']['gate']}: " in capsys.readouterr().out
