"""Each container reads what is broken without a crash: a reason for the row, or one line for the file."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gen.containers import files_of, is_dataset, read_rows, remove_rows, split_files, stem_of, write_rows
from gen.containers.columns import UsedColumns, holds_json
from gen.containers.hub import place_of
from gen.containers.rows import Row, Unreadable
from gen.errors import InputError

GOOD = {"prompt": "a", "completion": "b"}


def found(path: Path, content: bytes | None = None) -> list[Any]:
    """Rows as their fields, what is unreadable as (line, reason)."""
    if content is not None:
        path.write_bytes(content)
    return [row.fields if isinstance(row, Row) else (row.line, row.reason) for row in read_rows(path)]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param(b"[]", [], id="empty"),
        pytest.param(b'[{"a": 1}, {"a": 2}]', [{"a": 1}, {"a": 2}], id="one line"),
        pytest.param(b'[\n  {\n "a": 1},\n\n  {"a": "]"}\n]\n', [{"a": 1}, {"a": "]"}], id="many lines"),
        pytest.param(b'\xef\xbb\xbf[{"a": 1}]', [{"a": 1}], id="byte order mark"),
        pytest.param(b'[{"a": 1}, 7, null, {"a": 2}]', [{"a": 1}, (2, "not_an_object"), (3, "not_an_object"), {"a": 2}], id="no objects"),
        pytest.param(b'[{"a": 1}, {"a": ', [{"a": 1}, (2, "invalid_json")], id="cut off"),
        pytest.param(b'[{"a": 1},', [{"a": 1}, (2, "invalid_json")], id="cut off between"),
        pytest.param(b'[{"a": 1} {"a": 2}]', [{"a": 1}, (2, "invalid_json")], id="no comma"),
        pytest.param(b'[{"a": NaN}]', [(1, "invalid_json")], id="NaN"),
        pytest.param(b'[{"a": 1}, {"b": "\xff"}, {"c": 3}]', [{"a": 1}, (2, "not_utf8"), {"c": 3}], id="not UTF-8"),
        pytest.param(b"[" + b'{"a":' * 100_000, [(1, "invalid_json")], id="deep"),
        pytest.param(b'[{"a": ' + b"9" * 6000 + b"}]", [{"a": float("inf")}], id="huge integer"),
    ],
)
def test_a_json_array_is_read_as_far_as_it_can_be(content: bytes, expected: list[Any], tmp_path: Path) -> None:
    assert found(tmp_path / "a.json", content) == expected


def test_lines_of_lists_are_no_array(tmp_path: Path) -> None:
    assert found(tmp_path / "a.jsonl", b'[1]\n{"a": 1}\n') == [(1, "not_an_object"), {"a": 1}]


def test_an_array_larger_than_any_block_is_read_in_flat_memory(tmp_path: Path) -> None:
    rows = [{"n": number, "text": "x" * 1000} for number in range(20_000)]
    (tmp_path / "a.json").write_text(json.dumps(rows), encoding="utf-8")
    tracemalloc.start()
    count = sum(isinstance(row, Row) and row.fields["n"] == place for place, row in enumerate(read_rows(tmp_path / "a.json")))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 20_000
    assert peak < 8 << 20


def test_zstandard_is_read_and_a_cut_stream_is_one_line(tmp_path: Path) -> None:
    packed = pa.compress(b'{"a": 1}\n{"a": 2}\n', codec="zstd", asbytes=True)
    assert found(tmp_path / "a.jsonl.zst", packed) == [{"a": 1}, {"a": 2}]
    with pytest.raises(InputError, match=r"a\.jsonl\.zst: truncated compressed stream"):
        found(tmp_path / "a.jsonl.zst", packed[:-4])


@pytest.mark.parametrize("name", ["a.jsonl.gz", "a.json.gz", "a.csv.gz", "a.txt.gz"])
def test_a_cut_gzip_is_one_line_whatever_is_in_it(name: str, tmp_path: Path) -> None:
    content = json.dumps([{"a": str(number)} for number in range(5000)]).encode()
    with pytest.raises(InputError, match="the gzip stream is cut off or broken"):
        found(tmp_path / name, gzip.compress(content)[:-30])


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param(b"prompt,completion\na,b\n", [GOOD], id="commas"),
        pytest.param(b"prompt;completion\r\na;b\r\n", [GOOD], id="semicolons"),
        pytest.param(b"prompt\tcompletion\na\tb", [GOOD], id="tabs"),
        pytest.param(b'\xef\xbb\xbfprompt,completion\n"a\nx","b,""c"""\n', [{"prompt": "a\nx", "completion": 'b,"c"'}], id="quoted"),
        pytest.param(b"prompt,completion\na\na,b,c\na,b\n", [(1, "wrong_columns"), (2, "wrong_columns"), GOOD], id="other widths"),
        pytest.param(b"prompt,completion\na,\xff\na,b\n", [(1, "not_utf8"), GOOD], id="not UTF-8"),
        pytest.param(b'prompt,completion\na,"b\n', [(1, "invalid_csv")], id="open quote"),
        pytest.param(b"text\n'=SUM(A1)\n''-x\n'Tis\n", [{"text": "=SUM(A1)"}, {"text": "'-x"}, {"text": "'Tis"}], id="formulas"),
    ],
)
def test_a_table_of_text_is_read_row_by_row(content: bytes, expected: list[Any], tmp_path: Path) -> None:
    assert found(tmp_path / "a.csv", content) == expected


@pytest.mark.parametrize(("content", "problem"), [(b"", "no header"), (b"a,b,a\n1,2,3\n", "'a' stands in the header twice")])
def test_a_table_without_a_usable_header_is_refused(content: bytes, problem: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=problem):
        found(tmp_path / "a.csv", content)


def test_no_cell_that_is_written_begins_a_formula(tmp_path: Path) -> None:
    texts = ["=cmd()", "+1", "-1", "@a", "\t=1", "\r=1", "'=1", "fine"]
    write_rows("csv", tmp_path, "a", [{"text": text} for text in texts], {"text": "string"})
    cells = (tmp_path / "a.csv").read_bytes().decode().split("\r\n")[1:-1]
    assert [cell.strip('"')[:2] for cell in cells] == ["'=", "'+", "'-", "'@", "'\t", "'\r", "''", "fi"]
    assert found(tmp_path / "a.csv") == [{"text": text} for text in texts]


def test_parquet_of_other_types_becomes_plain_json(tmp_path: Path) -> None:
    table = pa.table({
        "on": [date(2026, 1, 2)], "price": [Decimal("1.50")], "raw": [b"\xff"], "big": pa.array([2**64 - 1], pa.uint64()),
        "nested": [{"a": [{"b": None}]}], "none": pa.nulls(1),
    })  # fmt: skip
    pq.write_table(table, tmp_path / "a.parquet")
    assert found(tmp_path / "a.parquet") == [
        {"on": "2026-01-02", "price": "1.50", "raw": "/w==", "big": 2**64 - 1, "nested": {"a": [{"b": None}]}, "none": None}
    ]


def test_a_text_of_a_columnar_file_that_is_not_utf8_is_one_bad_row(tmp_path: Path) -> None:
    broken = pa.StringArray.from_buffers(3, pa.py_buffer(b"\0\0\0\0\1\0\0\0\2\0\0\0\3\0\0\0"), pa.py_buffer(b"a\xffb"))
    pq.write_table(pa.table({"text": broken}), tmp_path / "a.parquet")
    assert found(tmp_path / "a.parquet") == [{"text": "a"}, (2, "not_utf8"), {"text": "b"}]


@pytest.mark.parametrize("name", ["a.parquet", "a.arrow"])
@pytest.mark.parametrize(
    "content", [b"", b"PAR1 no parquet", b"ARROW1 no arrow", b"\xff\xff\xff\xff\x07"], ids=["empty", "par", "arrow", "stream"]
)
def test_a_broken_columnar_file_is_one_line(name: str, content: bytes, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read: "):
        found(tmp_path / name, content)


def test_parquet_is_told_by_its_bytes(tmp_path: Path) -> None:
    write_rows("parquet", tmp_path, "a", [GOOD], {"prompt": "string", "completion": "string"})
    assert found((tmp_path / "a.parquet").rename(tmp_path / "a.data")) == [GOOD]


def test_a_cut_parquet_is_one_line(tmp_path: Path) -> None:
    write_rows("parquet", tmp_path, "a", [{"prompt": str(number)} for number in range(9000)], {"prompt": "string"})
    whole = (tmp_path / "a.parquet").read_bytes()
    for cut in (whole[:-100], whole[:400] + bytes(200) + whole[600:]):
        with pytest.raises(InputError, match="cannot be read: "):
            found(tmp_path / "b.parquet", cut)


@pytest.mark.parametrize(
    ("state", "problem"),
    [
        ("{", "not as datasets.save_to_disk writes it"),
        ("[]", "not as datasets.save_to_disk writes it"),
        ('{"_data_files": [{"filename": "../x.arrow"}]}', "names a file outside of its folder"),
        ('{"_data_files": [{"filename": "gone.arrow"}]}', "cannot be read: "),
    ],
)
def test_a_saved_folder_that_is_not_one_is_one_line(state: str, problem: str, tmp_path: Path) -> None:
    (tmp_path / "state.json").write_text(state)
    with pytest.raises(InputError, match=problem):
        found(tmp_path)


def test_a_folder_of_several_splits_says_which(tmp_path: Path) -> None:
    (tmp_path / "dataset_dict.json").write_text('{"splits": ["train", "test"]}')
    with pytest.raises(InputError, match=r"holds several splits: name one of its folders \(train, test\)"):
        found(tmp_path)


def test_rows_of_an_earlier_container_are_removed_and_other_files_stay(tmp_path: Path) -> None:
    for container in ("jsonl", "arrow", "csv"):
        write_rows(container, tmp_path, "train", [GOOD], {"prompt": "string"})
    (tmp_path / "train.txt").write_text("mine")
    remove_rows(tmp_path, "train", keep="csv")
    assert [path.name for _, path in split_files(tmp_path, ["train"])] == ["train.csv"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["train.csv", "train.txt"]
    (tmp_path / "own").mkdir()
    assert not is_dataset(tmp_path / "own")
    remove_rows(tmp_path, "own")
    assert (tmp_path / "own").is_dir()


def _shards(folder: Path, split: str, texts: list[str]) -> None:
    for at, text in enumerate(texts):
        write_rows(
            "parquet", folder, f"{split}-{at:05}-of-{len(texts):05}", [{"prompt": text}, {"prompt": f"{text}!"}], {"prompt": "string"}
        )


def test_the_shards_of_a_split_are_one_dataset_counted_through(tmp_path: Path) -> None:
    _shards(tmp_path / "data", "train", ["a", "b", "c"])
    _shards(tmp_path / "data", "test", ["d"])
    names = dict(split_files(tmp_path, ["train", "validation", "test"]))
    assert {split: path.name for split, path in names.items()} == {
        "train": "train-*-of-00003.parquet",
        "test": "test-*-of-00001.parquet",
    }
    rows = list(read_rows(names["train"]))
    assert [(row.line, row.fields["prompt"]) for row in rows if isinstance(row, Row)] == list(
        enumerate(["a", "a!", "b", "b!", "c", "c!"], 1)
    )
    assert len(files_of(names["train"])) == 3
    assert stem_of(names["train"]) == "train"


def test_a_shard_that_is_missing_is_named(tmp_path: Path) -> None:
    _shards(tmp_path, "train", ["a", "b", "c"])
    (tmp_path / "train-00001-of-00003.parquet").unlink()
    [(_, path)] = split_files(tmp_path, ["train"])
    with pytest.raises(InputError, match=r"train-00001-of-00003\.parquet is missing, one of 3 files that are one dataset"):
        list(read_rows(path))


def test_two_datasets_for_one_split_are_refused_since_one_would_replace_the_other(tmp_path: Path) -> None:
    for container in ("jsonl", "csv"):
        write_rows(container, tmp_path, "train", [GOOD], {"prompt": "string"})
    with pytest.raises(InputError, match=r"train\.csv and train\.jsonl are both named for the split train"):
        split_files(tmp_path, ["train"])


def test_a_text_file_is_one_record(tmp_path: Path) -> None:
    assert found(tmp_path / "a.md", b"# One\n\nTwo") == [{"text": "# One\n\nTwo"}]
    assert found(tmp_path / "b.txt", b"a\xff") == [(1, "not_utf8")]


def test_only_columns_that_a_row_fills_are_written() -> None:
    used = UsedColumns()
    list(used.watch([{"m": [{"role": "a", "tool": None}]}, {"m": [{"role": "b", "calls": [{"name": "x"}]}], "tools": None}]))
    wide = {"m": [{"role": "string", "tool": "string", "calls": [{"name": "string", "id": "string"}]}], "tools": "json"}
    assert used.columns({"m": [{"role": "string"}]}, wide) == {"m": [{"role": "string", "calls": [{"name": "string"}]}]}
    assert holds_json(wide)


@pytest.mark.parametrize(
    ("text", "name", "config", "split"),
    [
        ("hub:owner/name", "owner/name", None, ""),
        ("hub:gsm8k", "gsm8k", None, ""),
        ("hub:openai/gsm8k/main:test", "openai/gsm8k", "main", "test"),
        ("hub:o/n:train[:5]", "", None, ""),
    ],
)
def test_a_dataset_of_the_hub_is_named(text: str, name: str, config: str | None, split: str) -> None:
    if not name:
        with pytest.raises(InputError, match="write hub:owner/name"):
            place_of("hub:o/n:a:b")
        return
    place = place_of(text)
    assert (place.name, place.config, place.split) == (name, config, split)
    assert stem_of(Path(text)) == name.split("/")[-1]


def test_the_hub_offline_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"hub:sluice-tests/none: (offline: HF_HUB_OFFLINE is set|the Hub cannot be reached|no such dataset)"
    ):
        list(read_rows(Path("hub:sluice-tests/none:train")))


def test_an_unreadable_row_tells_its_line_and_why(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,b\n1\n")
    assert list(read_rows(tmp_path / "a.csv")) == [Unreadable(1, "wrong_columns", "1 cells, the header has 2")]
