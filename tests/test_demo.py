"""`make demo` says plainly what a run has none of, and looks in every split for what it shows."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

import pytest

from gen.recipe import load

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"


@pytest.fixture(scope="module")
def demo() -> dict[str, Any]:
    return runpy.run_path(str(EXAMPLES / "demo.py"), run_name="demo")


def test_a_run_without_pairs_or_packed_rows_is_no_failure(demo: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    demo["show_pair"](tmp_path)
    demo["show_packed"](tmp_path)
    shown = capsys.readouterr().out
    assert "--- no pair: " in shown
    assert "--- no packed row: " in shown


def test_an_empty_packed_set_has_no_row(demo: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "packed").mkdir()
    (tmp_path / "packed" / "pack.json").write_text('{"rows": 0}', encoding="utf-8")
    demo["show_packed"](tmp_path)
    assert "--- no packed row: " in capsys.readouterr().out


def test_a_pair_that_landed_in_another_split_is_shown(demo: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "preference").mkdir()
    (tmp_path / "preference" / "train.jsonl").write_text("", encoding="utf-8")
    turns = {
        name: [{"role": role, "content": name}] for name, role in (("prompt", "user"), ("chosen", "assistant"), ("rejected", "assistant"))
    }
    pair = turns | {"chosen_score": 5, "rejected_score": 2, "source": "repaired"}
    (tmp_path / "preference" / "test.jsonl").write_text(json.dumps(pair) + "\n", encoding="utf-8")
    demo["show_pair"](tmp_path)
    assert "--- a pair: chosen 5, rejected 2, from repaired" in capsys.readouterr().out


def test_the_demo_asks_in_every_shipped_way() -> None:
    shipped = {path.stem for path in (EXAMPLES.parent / "gen" / "strategies").glob("[a-z]*.py")}
    assert {line.name for line in load(EXAMPLES / "demo.yaml").config.strategies} == shipped
