"""A run's folder on a read-only share: what only reads works, what writes says why it does not."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from gen.commands import call
from gen.errors import StorageError
from gen.ledger import Ledger

Captured = pytest.CaptureFixture[str]


def test_what_only_reads_works_and_leaves_nothing(frozen_run: Path, tmp_path: Path, capsys: Captured) -> None:
    before = {path: path.read_bytes() for path in frozen_run.rglob("*") if path.is_file()}
    sample = json.loads((frozen_run / "accepted.jsonl").read_text(encoding="utf-8").splitlines()[0])["id"]
    capsys.readouterr()
    assert call(["show", str(frozen_run), sample]) == 0
    assert capsys.readouterr().out.startswith(f"{sample}: accepted")
    out = tmp_path / "elsewhere"
    assert call(["pack", str(frozen_run), "--tokenizer", "shipped", "--out", str(out)]) == 0
    assert (out / "pack.json").is_file()
    assert {path: path.read_bytes() for path in frozen_run.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    "command", [["export"], ["pairs"], ["regenerate"], ["pack", "--tokenizer", "shipped"]], ids=["export", "pairs", "regenerate", "pack"]
)
def test_what_writes_says_that_the_folder_is_read_only(command: list[str], frozen_run: Path, capsys: Captured) -> None:
    capsys.readouterr()
    assert call([command[0], str(frozen_run), *command[1:]]) == 2
    assert capsys.readouterr().err == f"sluice: the folder {frozen_run} is read-only: copy it to where you may write\n"


def test_a_ledger_opened_to_read_takes_no_writing(frozen_run: Path) -> None:
    with closing(Ledger(frozen_run / "run.db", read_only=True)) as ledger:
        assert ledger.fact("recipe")
        with pytest.raises(StorageError, match="readonly database"):
            ledger.set_fact("recipe", "other")


def test_a_log_that_was_left_behind_is_read_too(small_run: Path) -> None:
    with closing(sqlite3.connect(small_run / "run.db")) as writer:
        writer.execute("INSERT INTO facts VALUES ('late', '1')")
        writer.commit()
        with closing(Ledger(small_run / "run.db", read_only=True)) as ledger:
            assert ledger.fact("late") == 1
