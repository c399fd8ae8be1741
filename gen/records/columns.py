"""Columns of any name, as `--columns prompt=question,completion=answer` maps them to what they mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gen.errors import InputError

MEANINGS = ("prompt", "context", "completion", "system", "history", "chosen", "rejected", "label", "messages", "tools", "text")
_WHOLE = (
    (("chosen", "rejected"), "preference"),
    (("prompt", "completion", "label"), "kto"),
    (("messages",), "chatml"),
    (("prompt", "completion"), "alpaca"),
    (("text",), "text"),
)
_AS_ALPACA = {"prompt": "instruction", "context": "input", "completion": "output"}


def columns_of(text: str) -> dict[str, str]:
    """What each column of the text `MEANING=COLUMN,…` means, by meaning. Raises InputError for an unknown meaning or half a record."""
    columns: dict[str, str] = {}
    for item in text.split(","):
        meaning, equals, column = item.partition("=")
        meaning, column = meaning.strip(), column.strip()
        if not equals or not column:
            raise InputError(f"--columns {item.strip()[:80]!r}: write MEANING=COLUMN, such as prompt=question,completion=answer")
        if meaning not in MEANINGS:
            raise InputError(f"--columns {meaning[:80]!r}: choose from {', '.join(MEANINGS)}")
        if meaning in columns:
            raise InputError(f"--columns: {meaning} stands there twice")
        columns[meaning] = column
    layout_of(columns)
    return columns


def layout_of(columns: Mapping[str, str]) -> str:
    """The layout that columns of these meanings make up. Raises InputError where they make none."""
    for keys, layout in _WHOLE:
        if all(key in columns for key in keys):
            return layout
    wanted = "prompt and completion (and label), chosen and rejected, messages, or text"
    raise InputError(f"--columns {', '.join(columns)}: no whole record; name {wanted}")


def renamed(fields: Mapping[str, Any], columns: Mapping[str, str]) -> dict[str, Any]:
    """The record under the names of its layout; a column that the record lacks is left out."""
    names = _AS_ALPACA if layout_of(columns) == "alpaca" else {}
    return {names.get(meaning, meaning): fields[column] for meaning, column in columns.items() if column in fields}
