"""Columns in the notation of a dataset card's header, by which `datasets` and the Hub know a file's types before they read it.

A reader that infers them from the first rows refuses the file at the first later row with something more: tools, a loss weight.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def feature_lines(columns: Mapping[str, Any], indent: str) -> Iterator[str]:
    """The YAML lines of `features`, for columns as exporters declare them; their names are our own, never data.

    >>> print("\\n".join(feature_lines({"label": "bool", "turns": [{"role": "string"}]}, "  ")))
      - name: label
        dtype: bool
      - name: turns
        list:
        - name: role
          dtype: string
    """
    for name, kind in columns.items():
        yield f"{indent}- name: {name}"
        yield from _kind(kind, indent + "  ")


def _kind(kind: Any, indent: str) -> Iterator[str]:
    """A column's type: a name, a list of a type, or fields."""
    if isinstance(kind, str):
        yield f"{indent}dtype: {kind}"
    elif isinstance(kind, Mapping):
        yield f"{indent}struct:"
        yield from feature_lines(kind, indent)
    elif isinstance(kind[0], str):
        yield f"{indent}list: {kind[0]}"
    elif isinstance(kind[0], Mapping):
        yield f"{indent}list:"
        yield from feature_lines(kind[0], indent)
    else:
        yield f"{indent}list:"
        yield from _kind(kind[0], indent + "  ")
