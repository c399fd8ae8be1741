"""Comma-separated values as RFC 4180 has them, safe to open in a spreadsheet.

A spreadsheet runs a cell that begins with `=`, `+`, `-`, `@`, a tab or a carriage return as a formula, whatever quotes stand around it.
Such a cell is written with an apostrophe before it, which spreadsheets take for "this is text", and read without it; a cell that begins
with apostrophes before such a character gets one more, so every text comes back as it was. Lists and objects are cells of JSON text.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, cast

import orjson

from gen.containers.rows import MAX_ROW_BYTES, Row, Unreadable, row_of
from gen.containers.streams import opened
from gen.errors import InputError
from gen.files import json_line, replacing

_FORMULA = re.compile(r"'*+[=+\-@\t\r]")
_QUOTED_JSON = re.compile(r"'++[\[{]")
_QUOTED = re.compile(r"'++[=+\-@\t\r\[{]")
_TALKS = frozenset({"messages", "conversations", "conversation", "prompt", "completion", "chosen", "rejected"}) | {
    "preferred_output",
    "non_preferred_output",
}
_FLAGS = frozenset({"label", "simulated"})
_SEPARATORS = ",;\t"
_SURROGATE = re.compile("[\ud800-\udfff]")


def read(path: Path) -> Iterator[Row | Unreadable]:
    """Every row below the header, numbered from 1, as texts by column; an empty cell is an empty text. In columns that hold conversations,
    `history` and `input`, JSON text of that shape is read as what it says; `label` and `simulated` are true or false.

    The separator is the comma, semicolon or tab that the header has most of. Raises InputError when the file cannot be read, has no
    header or names a column twice.
    """
    csv.field_size_limit(MAX_ROW_BYTES)
    with opened(path) as stream:
        separator = max(_SEPARATORS, key=stream.peek()[:4096].partition(b"\n")[0].decode("utf-8", "replace").count)
        text = io.TextIOWrapper(cast(BinaryIO, stream), "utf-8-sig", errors="surrogateescape", newline="")
        table = csv.reader(text, delimiter=separator, strict=True)
        header = _header(path, table)
        number = 0
        while True:
            number += 1
            try:
                cells = next(table, None)
            except csv.Error as error:
                yield Unreadable(number, "invalid_csv", str(error)[:200])
                continue
            if cells is None:
                text.detach()
                return
            if cells:
                yield _row(number, header, cells)


def write(path: Path, rows: Iterable[Mapping[str, Any]], columns: Mapping[str, Any]) -> int:
    """A header and one line a row; nothing for what a row lacks. The number of rows."""
    count = 0
    with replacing(path) as file:
        text = io.TextIOWrapper(file, "utf-8", errors="backslashreplace", newline="")
        table = csv.writer(text, lineterminator="\r\n")  # also what makes it quote both characters
        table.writerow([_cell("", name) for name in columns])
        for row in rows:
            table.writerow([_cell(name, row.get(name)) for name in columns])
            count += 1
        text.detach()
    return count


def _header(path: Path, table: Iterator[list[str]]) -> list[str]:
    try:
        header = [_unquoted(cell.strip()) for cell in next(table, [])]
    except csv.Error as error:
        raise InputError(f"{path}: the header is no CSV: {error}") from error
    if not header:
        raise InputError(f"{path}: no header: the first line of a CSV file names its columns")
    twice = next((name for place, name in enumerate(header) if name in header[:place]), None)
    if twice is not None:
        raise InputError(f"{path}: the column '{twice[:80]}' stands in the header twice")
    return header


def _row(number: int, header: Sequence[str], cells: Sequence[str]) -> Row | Unreadable:
    if len(cells) != len(header):
        return Unreadable(number, "wrong_columns", f"{len(cells)} cells, the header has {len(header)}")
    if any(_SURROGATE.search(cell) for cell in cells):
        return Unreadable(number, "not_utf8", "a cell holds bytes that are not UTF-8")
    return row_of(number, {name: _value(name, cell) for name, cell in zip(header, cells, strict=True)})


def _value(name: str, cell: str) -> Any:
    if name in _FLAGS and cell.lower() in ("true", "false"):
        return cell.lower() == "true"
    value = _structured(name, cell)
    return _unquoted(cell) if value is None else value


def _unquoted(cell: str) -> str:
    return cell[1:] if _QUOTED.match(cell) else cell


def _structured(name: str, cell: str) -> Any:
    """The conversation, history or input that the cell is in JSON; None where it is a text."""
    if not cell.startswith(("[", "{")) or name not in _TALKS | {"history", "input"}:
        return None
    try:
        value = orjson.loads(cell)
    except orjson.JSONDecodeError:
        return None
    if name in _TALKS:
        turns = value if isinstance(value, list) else [value]
        fits = all(isinstance(turn, dict) and ("role" in turn or "from" in turn) for turn in turns)
    elif name == "history":
        fits = isinstance(value, list) and all(isinstance(pair, list) for pair in value)
    else:
        fits = isinstance(value, dict) and "messages" in value
    return value if fits else None


def _cell(name: str, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        quoted = _FORMULA.match(value) or _QUOTED_JSON.match(value) or _structured(name, value) is not None
        return f"'{value}" if quoted else value
    if isinstance(value, int | float):
        return str(value)
    return json_line(value)[:-1].decode("utf-8")
