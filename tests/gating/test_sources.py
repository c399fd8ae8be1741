from __future__ import annotations

import json
from pathlib import Path

import pytest
from gating_sets import chain, rows, write

from gen.commands import call
from gen.containers import write_rows
from gen.errors import InputError
from gen.gating.dataset import gate_files

COLUMNS = {"instruction": "string", "output": "string"}
ONE = {"instruction": "Explain how a tide comes about.", "output": "The moon pulls the water."}
SAME = {"instruction": "Please explain how a tide comes about!", "output": "The moon pulls on all water."}
OTHER = {"instruction": "Name the capital of Norway.", "output": "Oslo is the capital of Norway."}
THIRD = {"instruction": "Why do bees dance in the hive?", "output": "They tell where flowers are."}


def test_duplicates_are_found_across_files_of_any_kind(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", ONE, ["no object"])
    write_rows("parquet", tmp_path, "b", [OTHER, SAME], COLUMNS)
    write_rows("csv", tmp_path, "c", [OTHER, THIRD], COLUMNS)
    write_rows("arrow", tmp_path, "d", [THIRD], COLUMNS)
    files = [tmp_path / name for name in ("a.jsonl", "b.parquet", "c.csv", "d")]
    assert call(["gate", *map(str, files), "--out", str(tmp_path / "out"), "--without", "language,safety,near_dup", "--json"]) == 1
    counts = gate_files(files, tmp_path / "out", chain("exact_dup", "near_dup"))
    accepted, rejected, unreadable = (rows(tmp_path / "out" / f"{name}.jsonl") for name in ("accepted", "rejected", "unreadable"))
    assert [row["source"] for row in accepted] == ["a.jsonl:1", "b.parquet:1", "c.csv:2"]
    assert [(row["source"], row["detail"].split(" (")[0]) for row in rejected] == [
        ("b.parquet:2", "same task as a.jsonl:1"),
        ("c.csv:1", "same text as b.parquet:1"),
        ("d:1", "same text as c.csv:2"),
    ]
    assert [(row["file"], row["line"]) for row in unreadable] == [("a.jsonl", 2)]
    assert counts.unreadable_lines == ["a.jsonl:2"]


def test_a_row_keeps_its_own_source_and_its_bytes(tmp_path: Path) -> None:
    lines = [
        '{"source":  "wiki", "instruction": "Sort these names.", "output": "Ada, Bob and Cy." }',
        '{"text": "\\u00e9 is a letter",  "n": 1.0}',
    ]
    (tmp_path / "a.jsonl").write_text(lines[0] + "\n", encoding="utf-8")
    (tmp_path / "b.jsonl").write_text(lines[1] + "\n", encoding="utf-8")
    gate_files([tmp_path / "a.jsonl", tmp_path / "b.jsonl"], tmp_path / "out", chain("schema"))
    written = (tmp_path / "out" / "accepted.jsonl").read_text(encoding="utf-8").splitlines()
    assert written[0] == lines[0][:-2] + ',"source_row":"a.jsonl:1"}'
    assert written[1] == lines[1][:-1] + ',"source":"b.jsonl:1"}'


def test_files_of_one_name_are_told_apart_by_their_paths(tmp_path: Path) -> None:
    for folder in ("x", "y"):
        (tmp_path / folder).mkdir()
        write(tmp_path / folder / "train.jsonl", ONE)
    files = [tmp_path / folder / "train.jsonl" for folder in ("x", "y")]
    gate_files(files, tmp_path / "out", chain("exact_dup"))
    (row,) = rows(tmp_path / "out" / "rejected.jsonl")
    assert row["source"] == f"{files[1]}:1"
    assert f"same text as {files[0]}:1" in row["detail"]


def test_a_file_named_twice_is_refused(tmp_path: Path) -> None:
    file = write(tmp_path / "a.jsonl", ONE)
    with pytest.raises(InputError, match="is named twice: every row of it would be a duplicate"):
        gate_files([file, tmp_path / "." / ".." / tmp_path.name / "a.jsonl"], tmp_path / "out", chain("schema"))


def test_no_input_is_overwritten_whichever_it_is(tmp_path: Path) -> None:
    first, second = write(tmp_path / "a.jsonl", ONE), write(tmp_path / "accepted.jsonl", OTHER)
    with pytest.raises(InputError, match="would be overwritten"):
        gate_files([first, second], tmp_path, chain("schema"))


def test_the_command_tells_where_the_records_came_from(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [write(tmp_path / "a.jsonl", ONE, SAME), write(tmp_path / "b.jsonl", OTHER)]
    arguments = ["gate", *map(str, files), "--out", str(tmp_path / "out"), "--gates", "near_dup", "--processes", "1", "--quiet"]
    assert call(arguments) == 0
    assert "3 records from 2 files: 2 accepted, 1 rejected, 0 unreadable" in capsys.readouterr().out
    assert call([*arguments, "--keep", "longest", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["accepted"] == 2
    assert [row["source"] for row in rows(tmp_path / "out" / "accepted.jsonl")] == ["a.jsonl:2", "b.jsonl:1"]
    assert call([*arguments, "--processes", "0"]) == 2
