"""`sluice export RUN --trainer …`: configs beside the data, and nothing but data from what people say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gen.commands import call

Captured = pytest.CaptureFixture[str]
EVERY = "axolotl,llama_factory,trl,unsloth"


def test_configs_lie_beside_the_data_and_go_when_nobody_asks_for_them(small_run: Path, capsys: Captured) -> None:
    assert call(["export", str(small_run), "--trainer", EVERY, "--model", "owner/model", "--json"]) == 0
    files = json.loads(capsys.readouterr().out)["files"]
    assert {"trainers/axolotl/sft-lora.yaml", "trainers/llama_factory/dataset_info.json", "trainers/trl/train_sft.py"} <= set(files)
    assert all((small_run / file).is_file() for file in files)
    readme = (small_run / "README.md").read_text(encoding="utf-8")
    for command in ("axolotl train", "llamafactory-cli train", "accelerate launch", "python trainers/unsloth/train_sft.py"):
        assert command in readme
    (small_run / "trainers" / "axolotl" / "mine.yaml").write_text("a: 1\n", encoding="utf-8")
    assert call(["export", str(small_run)]) == 0
    assert [path.name for path in (small_run / "trainers").rglob("*") if path.is_file()] == ["mine.yaml"]
    assert "## Train" not in (small_run / "README.md").read_text(encoding="utf-8")


def test_a_format_that_a_trainer_reads_is_written_where_the_recipe_asks_for_none(small_run: Path) -> None:
    assert call(["export", str(small_run), "--formats", "alpaca", "--trainer", "trl", "--model", "owner/model"]) == 0
    settings = json.loads((small_run / "trainers" / "trl" / "settings.json").read_text(encoding="utf-8"))
    assert (small_run / "trainers" / "trl" / settings["sft"]["train"]).resolve() == (small_run / "sft" / "train.jsonl").resolve()
    assert (small_run / "sft-alpaca" / "train.jsonl").is_file()


def test_what_a_trainer_would_lose_is_told_and_its_configs_are_not_written(small_run: Path, capsys: Captured) -> None:
    recipe = small_run.parent / "recipe.yaml"
    recipe.write_text(recipe.read_text(encoding="utf-8") + "export: {trainers: [trl], base_model: owner/model}\n", encoding="utf-8")
    assert call(["export", str(small_run), "--recipe", str(recipe), "--container", "parquet"]) == 0
    assert "trainers/trl: accelerate launch trainers/trl/train_sft.py" in capsys.readouterr().out
    assert json.loads((small_run / "trainers" / "trl" / "settings.json").read_text(encoding="utf-8"))["reader"] == "parquet"


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--trainer", "axolot", "--model", "m"], "unknown trainer 'axolot': did you mean 'axolotl'"),
        (["--trainer", "trl"], "nothing says which model is trained"),
        (["--trainer", "trl", "--model", "m", "--container", "csv"], "trainers read jsonl, json, parquet; got 'csv'"),
        (["--trainer", "trl", "--model", "a\nb"], "printable characters"),
        (["--trainer", "trl", "--model", "m" * 301], "at most 300 printable"),
    ],
)
def test_a_wrong_wish_is_one_line_and_changes_nothing(arguments: list[str], problem: str, small_run: Path, capsys: Captured) -> None:
    before = {path: path.stat().st_mtime_ns for path in small_run.rglob("*.jsonl")}
    assert call(["export", str(small_run), *arguments]) == 2
    shown = capsys.readouterr().err
    assert problem in shown
    assert shown.count("\n") == 1
    assert {path: path.stat().st_mtime_ns for path in small_run.rglob("*.jsonl")} == before
    assert not (small_run / "trainers").exists()
