"""A YAML file as plain values and the line of every key, and what pydantic finds wrong in it as one error that names file, line and key.

YAML 1.2 by ruamel.yaml, so that `on:` and `no` stay words. Recipes and mixes are read through here.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from gen.errors import RecipeError, SluiceError
from gen.plugins import suggest

KeyPath = tuple[str | int, ...]
Model = TypeVar("Model", bound=BaseModel)

MAX_VALUES = 200_000  # in a file, with what anchors repeat; a longer list of topics belongs into a file of its own
_LONGEST_VALUE = 200  # characters of a wrong value that an error quotes
_TOO_DEEP = "not valid YAML here: brackets nested too deep"


@dataclass(frozen=True, slots=True)
class Document:
    """A file as read: `values` in builtins, `lines` the line of each key's path."""

    file: Path
    values: Mapping[str, Any]
    lines: Mapping[KeyPath, int]

    def checked(self, model: type[Model], allowed: Callable[[KeyPath], Iterable[str]]) -> Model:
        """The values as a model; `allowed` gives the keys that the mapping at a path may have.

        Raises RecipeError for the first thing wrong, an unknown key before anything else.
        """
        try:
            return model.model_validate(self.values)
        except ValidationError as error:
            raise self._explained(error, allowed) from error

    def _explained(self, error: ValidationError, allowed: Callable[[KeyPath], Iterable[str]]) -> RecipeError:
        problems = error.errors(include_url=False)
        first = min(problems, key=lambda item: (item["type"] != "extra_forbidden", item["type"] == "too_short", len(item["loc"])))
        path = _existing(tuple(first["loc"]), self.values)
        if first["type"] == "extra_forbidden":
            return place_error(self.file, self.lines, path, f"unknown key: {suggest(str(path[-1]), sorted(allowed(path[:-1])))}")
        if first["type"] == "missing":
            missing = (*path, str(first["loc"][-1])) if not path or path[-1] != first["loc"][-1] else path
            return place_error(self.file, self.lines, missing, "this key is needed")
        first, path = _item_at_fault(problems, first, path, self.values)
        message = _plain_words(str(first["msg"]))
        value = _value_at(self.values, path)
        got = f", got {value!r}" if not isinstance(value, dict | list) else ""
        return place_error(self.file, self.lines, path, f"{message[0].lower() + message[1:]}{got if len(got) < _LONGEST_VALUE else ''}")


def read(file: Path, *, kind: str, way_out: str) -> str:
    """The file's text. `kind` is what it should be ("recipe"), `way_out` what to do when the folder holds no YAML file at all.

    Raises RecipeError when it is missing, a folder, not UTF-8 or cannot be read.
    """
    try:
        return file.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise RecipeError(f"no such {kind}: {_nearby(file, way_out)}", file=file) from error
    except IsADirectoryError as error:
        raise RecipeError(f"this is a folder; name the {kind} file in it", file=file) from error
    except UnicodeDecodeError as error:
        raise RecipeError(f"not UTF-8 text (byte {error.start})", file=file) from error
    except OSError as error:
        raise RecipeError(f"cannot be read: {error.strerror}", file=file) from error


def parse(text: str, file: Path, *, expected: str) -> Document:
    """The YAML text as a document; `expected` says what it should be where it is no mapping.

    Raises RecipeError with the line where the YAML ends to make sense.
    """
    try:
        data = YAML(typ="rt").load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        context = error.context if str(error.problem).startswith("but ") else ""
        problem = ", ".join(part for part in (context, error.problem) if part) or str(error)
        raise RecipeError(f"not valid YAML: {problem}", file=file, line=mark.line + 1 if mark else None) from error
    except RecursionError as error:
        raise RecipeError(_TOO_DEEP, file=file) from error
    except (YAMLError, ValueError) as error:
        first = (str(error).splitlines() or [""])[0]
        raise RecipeError(f"not valid YAML: {first}", file=file) from error
    if not isinstance(data, CommentedMap):
        raise RecipeError(expected, file=file)
    lines: dict[KeyPath, int] = {}
    try:
        for path, value in _collect_lines(data, (), lines):
            if isinstance(value, float) and not math.isfinite(value):
                raise place_error(file, lines, path, f"must be a finite number, got {float(value)}")
            if len(lines) > MAX_VALUES:
                raise RecipeError(f"more than {MAX_VALUES} values: is an anchor repeated within its own repetitions?", file=file)
        plain = _plain(data)
    except RecursionError as error:
        raise RecipeError(_TOO_DEEP, file=file) from error
    return Document(file, plain, MappingProxyType(lines))


def place_error(file: Path, lines: Mapping[KeyPath, int], path: KeyPath, problem: str | SluiceError) -> RecipeError:
    """The error to raise for the value at `path`; a RecipeError of a part keeps its own key as the last step."""
    if isinstance(problem, RecipeError):
        path, problem = (*path, problem.key) if problem.key else path, problem.message
    return RecipeError(str(problem), file=file, line=_line(lines, path), key=_dotted(path))


def _collect_lines(value: Any, path: KeyPath, lines: dict[KeyPath, int]) -> Iterator[tuple[KeyPath, Any]]:
    """Note the line of every key and item, giving each as it is met; keys out of a merge (`<<`) stand where it does."""
    if isinstance(value, CommentedMap):
        known = value.lc.data or {}
        for key, item in value.items():
            inner = (*path, str(key))
            lines[inner] = value.lc.key(key)[0] + 1 if key in known else lines.get(path, 1)
            yield inner, item
            yield from _collect_lines(item, inner, lines)
    elif isinstance(value, CommentedSeq):
        known = value.lc.data or {}
        for index, item in enumerate(value):
            lines[(*path, index)] = value.lc.item(index)[0] + 1 if index in known else lines.get(path, 1)
            yield (*path, index), item
            yield from _collect_lines(item, (*path, index), lines)


def _plain(value: Any) -> Any:
    """ruamel's containers and scalar subclasses as builtins, so that nothing downstream depends on them."""
    if isinstance(value, CommentedMap):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, CommentedSeq):
        return [_plain(item) for item in value]
    if isinstance(value, bool) or value is None:
        return value
    for kind in (int, float, str):
        if isinstance(value, kind):
            return kind(value)
    return str(value)


def _item_at_fault(problems: Sequence[Any], first: Any, path: KeyPath, data: Any) -> tuple[Any, KeyPath]:
    """The problem to tell: where a key takes a list or a name and got a list, the wrong item says more than that a list is no name."""
    value = _value_at(data, path)
    if isinstance(value, list):
        for problem in problems:
            loc = tuple(problem["loc"])
            if loc[: len(path)] == path and len(loc) == len(path) + 2 and isinstance(loc[-1], int) and loc[-1] < len(value):
                return problem, (*path, loc[-1])
    return first, path


def _plain_words(message: str) -> str:
    """pydantic's sentence without Python's names for things."""
    message = message.removeprefix("Value error, ").replace("Tuple should have", "the list should have").replace("a valid tuple", "a list")
    return re.sub(r"a valid (?:dictionary|mapping)(?: or instance of \w{1,40})?", "a mapping of keys", message)


def _existing(loc: tuple[Any, ...], data: Any) -> KeyPath:
    """The part of pydantic's location that exists in the file (it also names union branches and validators)."""
    path: list[str | int] = []
    for step in loc:
        if isinstance(data, dict) and step in data:
            data = data[step]
        elif isinstance(data, list) and isinstance(step, int) and step < len(data):
            data = data[step]
            if isinstance(data, str):
                path.append(step)
                break
        else:
            break
        path.append(step)
    return tuple(path)


def _value_at(data: Any, path: KeyPath) -> Any:
    for step in path:
        data = data[step]
    return data


def _line(lines: Mapping[KeyPath, int], path: KeyPath) -> int | None:
    """The line of the longest part of `path` that stands in the file."""
    for end in range(len(path), 0, -1):
        if path[:end] in lines:
            return lines[path[:end]]
    return None


def _dotted(path: KeyPath) -> str:
    """`gates[2].threshold`: counted from 0, as YAML readers do."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f"{'.' if text else ''}{step}"
    return text


def _nearby(file: Path, way_out: str) -> str:
    try:
        names = sorted(item.name for item in file.parent.iterdir() if item.suffix in (".yaml", ".yml"))
    except OSError:
        return f"the folder '{file.parent}' does not exist"
    return suggest(file.name, names) if names else f"there is no .yaml file in its folder; {way_out}"
