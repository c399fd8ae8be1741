"""Which columns a table needs: those that its format always has, and of the others those that some row fills."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

Path = tuple[str, ...]


@dataclass(slots=True)
class UsedColumns:
    """Looks at rows as they pass; `columns` then says what they need.

    >>> used = UsedColumns()
    >>> rows = list(used.watch([{"text": "a"}, {"text": "b", "label": True}]))
    >>> used.columns({"text": "string"}, {"text": "string", "label": "bool", "note": "string"})
    {'text': 'string', 'label': 'bool'}
    """

    seen: set[Path] = field(default_factory=set)

    def watch(self, rows: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
        """The rows as they are, looked at."""
        for row in rows:
            self._look(row, ())
            yield row

    def columns(self, base: Mapping[str, Any], wide: Mapping[str, Any]) -> dict[str, Any]:
        """The columns of `wide` that are in `base` or were filled, at every depth, in the order of `wide`."""
        return dict(self._narrow(wide, base, ()))

    def _look(self, value: Any, path: Path) -> None:
        if isinstance(value, Mapping):
            for key, inner in value.items():
                if inner is not None:
                    self.seen.add((*path, key))
                    if not isinstance(inner, str):
                        self._look(inner, (*path, key))
        elif isinstance(value, list | tuple):
            for inner in value:
                if not isinstance(inner, str):
                    self._look(inner, path)

    def _narrow(self, wide: Any, base: Any, path: Path) -> Any:
        if isinstance(wide, Mapping):
            known = base if isinstance(base, Mapping) else {}
            return {
                name: self._narrow(kind, known.get(name), (*path, name))
                for name, kind in wide.items()
                if name in known or (*path, name) in self.seen
            }
        if isinstance(wide, list):
            return [self._narrow(wide[0], base[0] if isinstance(base, list) else None, path)]
        return wide


def holds_json(kind: Any) -> bool:
    """Whether a column is declared as `json`: values of any shape, which a columnar file holds as JSON text."""
    if isinstance(kind, Mapping):
        return any(map(holds_json, kind.values()))
    return holds_json(kind[0]) if isinstance(kind, list) else kind == "json"
