"""A folder appears whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from gen.errors import StorageError
from gen.whole_folder import replacing_folder


def test_a_folder_takes_the_place_of_what_it_was(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "old").write_text("1", encoding="utf-8")
    with replacing_folder(tmp_path / "set") as folder:
        (folder / "new").write_text("2", encoding="utf-8")
        assert (tmp_path / "set" / "old").exists()
    assert [path.name for path in (tmp_path / "set").iterdir()] == ["new"]
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_a_folder_that_fails_leaves_what_there_was_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "old").write_text("1", encoding="utf-8")
    with pytest.raises(ValueError, match="midway"):
        _fail_midway(tmp_path / "set")
    assert [path.name for path in (tmp_path / "set").iterdir()] == ["old"]
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_a_place_that_cannot_be_written_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x", encoding="utf-8")
    with pytest.raises(StorageError, match=r"cannot write .*below: "), replacing_folder(tmp_path / "file" / "below"):
        pass


def _fail_midway(out: Path) -> None:
    with replacing_folder(out) as folder:
        (folder / "new").write_text("2", encoding="utf-8")
        raise ValueError("midway")
