"""Writing files whole or not at all, and JSON lines for any text."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from gen.errors import StorageError
from gen.files import json_line, replacing, write_jsonl, write_text
from gen.types import Score, freeze


def test_rows_are_written_one_per_line(tmp_path: Path) -> None:
    target = tmp_path / "new" / "rows.jsonl"
    assert write_jsonl(target, [{"b": 1, "a": "é\n\u2028x"}, {"c": None}]) == 2
    lines = target.read_bytes().split(b"\n")
    assert [json.loads(line) for line in lines[:-1]] == [{"b": 1, "a": "é\n\u2028x"}, {"c": None}]
    assert lines[-1] == b""


def test_no_rows_make_an_empty_file(tmp_path: Path) -> None:
    assert write_jsonl(tmp_path / "none.jsonl", []) == 0
    assert (tmp_path / "none.jsonl").read_bytes() == b""


def test_a_failure_half_way_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "rows.jsonl"
    target.write_text("old\n")

    def rows() -> Iterator[dict[str, int]]:
        yield {"a": 1}
        raise RuntimeError("the source broke")

    with pytest.raises(RuntimeError, match="the source broke"):
        write_jsonl(target, rows())
    assert target.read_text() == "old\n"
    assert [path.name for path in tmp_path.iterdir()] == ["rows.jsonl"]


def test_a_reader_never_sees_the_file_before_it_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "rows.jsonl"
    with replacing(target) as file:
        file.write(b"half")
        assert not target.exists()
    assert target.read_bytes() == b"half"


def test_the_bytes_are_on_the_disk_before_the_name_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target, seen = tmp_path / "rows.jsonl", []
    sync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda descriptor: (seen.append(target.exists()), sync(descriptor)))
    write_text(target, "text")
    assert seen == [False, True]  # the file before the rename, its folder after it


def test_a_folder_in_the_way_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "inside").write_text("x")
    with pytest.raises(StorageError, match=r"cannot write .*taken"):
        write_text(tmp_path / "taken", "text")
    with pytest.raises(StorageError, match="cannot write"):
        write_text(tmp_path / "taken" / "inside" / "below", "text")
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_files_get_the_usual_permissions(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("x")
    write_text(tmp_path / "ours", "x")
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize(
    "value",
    ["a\ud800b", "\udfff", {"key\ud83d": ["\udc00", 1]}, 2**70, "\x00", "\U0001f600"],
    ids=["high", "low", "nested", "big_integer", "nul", "emoji"],
)
def test_any_text_round_trips(value: object) -> None:
    line = json_line({"v": value})
    assert line.count(b"\n") == 1
    assert json.loads(line.decode("utf-8")) == {"v": value}


def test_our_nouns_are_written_as_plain_json() -> None:
    assert json_line({"s": Score(4.0, "fine"), "m": freeze({"a": [1]})}) == b'{"s":{"value":4.0,"reason":"fine"},"m":{"a":[1]}}\n'


def test_lone_surrogates_do_not_stop_a_text_file(tmp_path: Path) -> None:
    write_text(tmp_path / "t", "a\ud800b")
    assert (tmp_path / "t").read_text("utf-8") == "a\ufffdb"
