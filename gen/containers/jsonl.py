"""JSON Lines: one object a line, plain, gzip or Zstandard, and JSON arrays. Memory stays flat: one line or element at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson

from gen.containers.json_array import elements
from gen.containers.rows import MAX_ROW_BYTES, Row, Unreadable, kind_of, row_of
from gen.containers.streams import Stream, first_byte, opened
from gen.files import json_line, replacing, write_jsonl

_UTF8_BOM = b"\xef\xbb\xbf"


def read(path: Path) -> Iterator[Row | Unreadable]:
    """Every line of JSON Lines, or every element where the file is one JSON array; blank lines are no rows.

    Raises InputError when the file as a whole cannot be read.
    """
    with opened(path) as stream:
        yield from _elements(stream) if _is_array(stream) else _lines(stream)


def write(path: Path, rows: Iterable[Mapping[str, Any]], _columns: Mapping[str, Any]) -> int:
    """One object a line; the number of rows."""
    return write_jsonl(path, rows)


def write_array(path: Path, rows: Iterable[Mapping[str, Any]], _columns: Mapping[str, Any]) -> int:
    """One JSON array, one element a line; the number of rows."""
    count = 0
    with replacing(path) as file:
        for row in rows:
            file.write((b",\n" if count else b"[\n") + json_line(row)[:-1])
            count += 1
        file.write(b"\n]\n" if count else b"[]\n")
    return count


def _lines(stream: Stream) -> Iterator[Row | Unreadable]:
    number = 0
    while line := stream.readline(MAX_ROW_BYTES + 1):
        number += 1
        if len(line) > MAX_ROW_BYTES:
            yield Unreadable(number, "too_long", f"more than {MAX_ROW_BYTES} bytes in one line")
            while line and not line.endswith(b"\n"):
                line = stream.readline(MAX_ROW_BYTES)
            continue
        if number == 1:
            line = line.removeprefix(_UTF8_BOM)
        raw = line.strip(b" \t\r\n")
        if raw:
            yield _row(number, raw)


def _row(number: int, raw: bytes) -> Row | Unreadable:
    try:
        fields = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        try:
            raw.decode("utf-8")
        except UnicodeDecodeError as wrong:
            return Unreadable(number, "not_utf8", f"byte {wrong.start + 1} of the line is not UTF-8")
        return Unreadable(number, "invalid_json", f"{error.msg} (column {error.colno})"[:200])
    return Row(number, raw, fields) if isinstance(fields, dict) else _no_object(number, fields)


def _elements(stream: Stream) -> Iterator[Row | Unreadable]:
    for number, element in enumerate(elements(stream), 1):
        if isinstance(element, Unreadable):
            yield element
        else:
            yield row_of(number, element) if isinstance(element, dict) else _no_object(number, element)


def _is_array(stream: Stream) -> bool:
    """Whether the file is one JSON array and not lines of which the first happens to be a list."""
    if first_byte(stream) != b"[":
        return False
    head = stream.peek().removeprefix(_UTF8_BOM).lstrip()
    line, newline, rest = head.partition(b"\n")
    if not newline or not rest.strip():
        return b"{" in line[:64] or line.split() in ([b"[]"], [b"[", b"]"]) or not _is_json(line)
    return not _is_json(line) and not _begins_many_lines(line, rest)


def _begins_many_lines(line: bytes, rest: bytes) -> bool:
    """Whether a broken first line is followed by lines that are objects of their own."""
    second = rest.partition(b"\n")[0].strip()
    return len(line.strip()) > 1 and second.startswith(b"{") and second.endswith(b"}") and not line.rstrip().endswith((b",", b"["))


def _is_json(line: bytes) -> bool:
    try:
        orjson.loads(line)
    except orjson.JSONDecodeError:
        return False
    return True


def _no_object(number: int, value: object) -> Unreadable:
    return Unreadable(number, "not_an_object", f"a record is a JSON object, got {kind_of(value)}")
