"""Tests of gen/resources.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from gen import resources
from gen.errors import InputError


def test_a_file_of_the_project_is_found_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert resources.resource("data", "safety_lexicon.json").is_file()


def test_the_package_itself_is_looked_at_before_its_surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in (tmp_path / "data", tmp_path / "gen" / "data"):
        folder.mkdir(parents=True)
        (folder / "list.txt").write_text(str(folder), encoding="utf-8")
    monkeypatch.setattr(resources, "_PACKAGE", tmp_path / "gen")
    assert resources.resource("data", "list.txt") == tmp_path / "gen" / "data" / "list.txt"


def test_a_missing_file_is_an_error_that_names_it() -> None:
    with pytest.raises(InputError, match=r"data/nothing\.json is missing"):
        resources.resource("data", "nothing.json")
