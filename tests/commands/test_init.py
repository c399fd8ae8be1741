from __future__ import annotations

from pathlib import Path

import pytest

from gen.commands import call
from gen.parts import build_parts
from gen.recipe import load


def test_the_recipe_it_writes_is_valid_and_needs_no_key(tmp_path: Path) -> None:
    assert call(["init", str(tmp_path / "new" / "folder")]) == 0
    recipe = load(tmp_path / "new" / "folder" / "recipe.yaml")
    assert {line.provider for line in recipe.config.models.values()} == {"simulator"}
    assert build_parts(recipe).sequences


def test_without_a_folder_it_writes_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    assert call(["init"]) == 0
    assert (tmp_path / "recipe.yaml").is_file()
    assert capsys.readouterr().out == "wrote recipe.yaml\nnext: sluice check recipe.yaml, then sluice run recipe.yaml\n"


def test_a_path_with_spaces_is_shown_ready_to_paste(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["init", str(tmp_path / "my data")]) == 0
    assert f'sluice run "{tmp_path}/my data/recipe.yaml"' in capsys.readouterr().out


def test_a_recipe_that_is_there_stays_unless_forced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "recipe.yaml").write_text("mine")
    assert call(["init", str(tmp_path)]) == 2
    assert (tmp_path / "recipe.yaml").read_text() == "mine"
    assert capsys.readouterr().err.endswith("recipe.yaml exists: take another folder, or --force to overwrite it\n")
    assert call(["init", str(tmp_path), "--force"]) == 0
    assert (tmp_path / "recipe.yaml").read_text() != "mine"


def test_a_file_is_no_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "taken").write_text("")
    assert call(["init", str(tmp_path / "taken")]) == 2
    assert "taken is a file: name a folder" in capsys.readouterr().err
