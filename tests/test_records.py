from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from gen.errors import InputError
from gen.records import Record, Unreadable, messages_of, read_records

CHAT = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"messages": CHAT}, id="messages"),
        pytest.param({"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello"}]}, id="sharegpt"),
        pytest.param({"instruction": "Hi", "output": "Hello"}, id="alpaca"),
        pytest.param({"instruction": "Hi", "input": "", "output": "Hello"}, id="alpaca with an empty input"),
        pytest.param({"prompt": "Hi", "completion": "Hello"}, id="prompt and completion"),
        pytest.param({"prompt": CHAT[:1], "completion": CHAT[1:]}, id="conversational prompt and completion"),
        pytest.param({"question": "Hi", "answer": "Hello"}, id="question and answer"),
        pytest.param({"messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}, CHAT[1]]}, id="parts"),
    ],
)
def test_the_shape_is_found_out(fields: dict[str, Any]) -> None:
    messages = messages_of(fields)
    assert [(one.role, one.content) for one in messages if not isinstance(one, str)] == [("user", "Hi"), ("assistant", "Hello")]


@pytest.mark.parametrize(
    ("more", "simulated"),
    [({}, False), ({"simulated": True}, True), ({"simulated": "yes"}, False), ({"provenance": {"simulated": True}}, True)],
)
def test_a_record_that_says_so_is_simulated(more: dict[str, Any], simulated: bool, tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text(json.dumps({"prompt": "Why?", "completion": "Because."} | more), encoding="utf-8")
    [record] = read_records(tmp_path / "x.jsonl")
    assert isinstance(record, Record)
    assert record.sample.provenance.simulated is simulated


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        pytest.param({"body": "Hi"}, "no known shape", id="no shape"),
        pytest.param({"messages": None}, "'messages' must be a list, got null", id="null"),
        pytest.param({"messages": [1]}, "messages[0] must be an object with role and content, got a number", id="a number"),
        pytest.param({"messages": [{"content": "Hi"}]}, "messages[0] has no role", id="no role"),
        pytest.param(
            {"messages": [{"role": "user", "content": {"a": 1}}]}, "messages[0].content must be a text, got an object", id="object"
        ),
        pytest.param({"instruction": 3, "output": "x"}, "'instruction' must be a text", id="wrong type"),
        pytest.param({"instruction": "a", "input": [1], "output": "x"}, "'input' must be a text, got a list", id="input"),
    ],
)
def test_a_wrong_shape_is_explained(fields: dict[str, Any], problem: str) -> None:
    assert str(messages_of(fields)).startswith(problem)


def lines(path: Path, content: bytes) -> list[Record | Unreadable]:
    path.write_bytes(content)
    return list(read_records(path))


def test_only_a_newline_ends_a_record(tmp_path: Path) -> None:
    text = json.dumps({"instruction": "a\u2028b\u0085c", "output": "d\u2029e"}, ensure_ascii=False)
    (record,) = lines(tmp_path / "a.jsonl", text.encode())
    assert isinstance(record, Record)
    assert record.sample.messages[0].content == "a\u2028b\u0085c"


def test_bom_crlf_and_blank_lines_are_no_errors(tmp_path: Path) -> None:
    line = json.dumps({"instruction": "a", "output": "b"}).encode()
    found = lines(tmp_path / "a.jsonl", b"\xef\xbb\xbf" + line + b"\r\n\r\n  \n" + line)
    assert [record.line for record in found] == [1, 4]
    assert all(isinstance(record, Record) and record.raw == line for record in found)


def test_a_bad_line_is_named_and_the_next_one_read(tmp_path: Path) -> None:
    good = b'{"instruction": "a", "output": "b"}'
    found = lines(tmp_path / "a.jsonl", b"\n".join([b"{", good, b"[1]", b'{"a": "\xff"}', good, b"[" * 100_000]))
    assert [(one.line, one.reason) for one in found if isinstance(one, Unreadable)] == [
        (1, "invalid_json"),
        (3, "not_an_object"),
        (4, "not_utf8"),
        (6, "invalid_json"),
    ]
    assert sum(isinstance(one, Record) for one in found) == 2


def test_gzip_is_told_by_its_bytes_not_its_name(tmp_path: Path) -> None:
    line = b'{"instruction": "a", "output": "b"}\n'
    assert len(lines(tmp_path / "plain.jsonl.gz", line)) == 1
    assert len(lines(tmp_path / "packed.jsonl", gzip.compress(line))) == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param('{"a": 1}'.encode("utf-16"), "UTF-16 text; convert it to UTF-8 first", id="utf-16"),
        pytest.param(gzip.compress(b"x" * 10_000)[:-20], "the gzip stream is cut off or broken", id="cut gzip"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_as_a_whole(content: bytes, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        lines(tmp_path / "a.jsonl", content)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nope\.jsonl: no such file or directory"):
        list(read_records(tmp_path / "nope.jsonl"))
