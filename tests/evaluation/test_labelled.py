from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gen.errors import InputError
from gen.evaluation.labelled import Columns, read_labelled


def file_of(tmp_path: Path, *rows: Any) -> Path:
    path = tmp_path / "labelled.jsonl"
    path.write_text("".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return path


def record(**more: Any) -> dict[str, Any]:
    return {"instruction": "Add 2 and 2.", "output": "4"} | more


@pytest.mark.parametrize(
    ("label", "keep"),
    [
        pytest.param({"keep": True}, True, id="keep"),
        pytest.param({"keep": False}, False, id="not keep"),
        pytest.param({"keep": "no"}, False, id="a word"),
        pytest.param({"keep": 1}, True, id="a number"),
        pytest.param({"label": "reject"}, False, id="label"),
        pytest.param({"label": "Good"}, True, id="label in capitals"),
    ],
)
def test_a_label_says_whether_to_keep(label: dict[str, Any], keep: bool, tmp_path: Path) -> None:
    (item,) = read_labelled(file_of(tmp_path, record(**label)), Columns()).items
    assert (item.keep, item.sample.last("assistant")) == (keep, "4")


def test_a_bad_record_names_its_gate_and_reason_and_a_good_one_none(tmp_path: Path) -> None:
    fate = {"gate": "length", "reason": "too_short"}
    bad, good = read_labelled(file_of(tmp_path, record(keep=False, **fate), record(keep=True, **fate)), Columns()).items
    assert (bad.gate, bad.reason, good.gate, good.reason) == ("length", "too_short", "", "")


def test_the_values_that_reject_may_be_named(tmp_path: Path) -> None:
    path = file_of(tmp_path, record(verdict="spam"), record(verdict="ham"), record(verdict=None))
    items = read_labelled(path, Columns(label="verdict", rejected_as=("Spam",))).items
    assert [item.keep for item in items] == [False, True, True]


def test_a_pair_is_rejected_where_it_is_a_duplicate(tmp_path: Path) -> None:
    (item,) = read_labelled(file_of(tmp_path, {"a": "one", "b": "two", "duplicate": True}), Columns()).items
    assert item.before is not None
    assert (item.keep, item.before.first("user"), item.sample.first("user")) == (False, "one", "two")


def test_ids_are_told_apart(tmp_path: Path) -> None:
    items = read_labelled(file_of(tmp_path, record(keep=True, id="x"), record(keep=True, id="x"), record(keep=True)), Columns()).items
    assert [item.id for item in items] == ["x", "x (line 2)", "line 3"]


def test_lines_without_a_record_are_counted(tmp_path: Path) -> None:
    read = read_labelled(file_of(tmp_path, "{broken", {"keep": True, "odd": 1}, record(keep=True)), Columns())
    assert (len(read.items), sum(read.unreadable.values())) == (1, 2)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        pytest.param(record(), "line 1: no column 'keep', 'duplicate' or 'label'", id="none"),
        pytest.param(record(keep="perhaps"), "line 1: 'keep' is 'perhaps': true or false, keep or reject", id="neither"),
        pytest.param(record(keep=[1]), "'keep' is [1]", id="a list"),
    ],
)
def test_a_record_without_a_plain_label_is_explained(row: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        read_labelled(file_of(tmp_path, row), Columns())
    assert message in str(caught.value)
