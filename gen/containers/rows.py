"""What every container yields, row by row: an object, or the reason why there is none."""

from __future__ import annotations

import base64
import datetime
import decimal
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gen.files import json_line

MAX_ROW_BYTES = 256 * 1024 * 1024  # a longer row is no record of a training set


@dataclass(frozen=True, slots=True)
class Row:
    """One row: its line or its number from 1, its bytes as JSON (as they came where they came as JSON), and the object."""

    line: int
    raw: bytes
    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A line or row that holds no sample, and why."""

    line: int
    reason: str
    detail: str


def row_of(number: int, fields: Mapping[str, Any]) -> Row:
    """A row that did not come as a line of JSON."""
    return Row(number, json_line(fields)[:-1], fields)


def kind_of(value: object) -> str:
    """A JSON value's kind in the words of a message."""
    return {type(None): "null", bool: "true or false", int: "a number", float: "a number", dict: "an object", list: "a list"}.get(
        type(value), type(value).__name__
    )


def plain(value: Any) -> Any:
    """A cell of a typed table as JSON holds it: dates in ISO 8601, decimals as their text, bytes as text or else in base64.

    >>> plain({"on": datetime.date(2026, 1, 2), "raw": [b"a", b"\\xff"]})
    {'on': '2026-01-02', 'raw': ['a', '/w==']}
    """
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, bytes):
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError:
            return base64.b64encode(value).decode("ascii")
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, datetime.timedelta):
        return value.total_seconds()
    return str(value) if isinstance(value, decimal.Decimal) else repr(value)
