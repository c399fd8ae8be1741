"""Find and read the files that a recipe's `sources` name: UTF-8 text, JSON Lines and JSON, every error with file and line.

A value is looked up beside the recipe first and then among the files that Sluice ships, so a recipe may say `topics: compliance`. A file
is read whole and bounded in size: sources are lists that people look after, not corpora.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import orjson

from gen.errors import InputError
from gen.resources import resource
from gen.types import Json

MAX_FILE_MEBIBYTES = 64

_LINE_END = re.compile(r"\r\n|\n|\r")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_WIDE_MARKS = {codecs.BOM_UTF16_LE: "UTF-16", codecs.BOM_UTF16_BE: "UTF-16"}
_SHOWN_CHARACTERS = 60


@dataclass(frozen=True, slots=True)
class Entry:
    """One item of a source: its JSON or text, and its `place` for messages: `seeds.jsonl:3` or `item 3`."""

    value: Json
    place: str


def find_file(value: str, *, folder: Path, where: str, shipped: Mapping[str, Path]) -> Path:
    """The file that `value` names: beside the recipe, else one of `shipped` (name → path).

    Raises InputError for a folder, a special file or nothing at all, with the nearest names that exist.
    """
    if not value.strip():
        raise InputError(f"{where}: an empty file name: name a file or write a list in brackets: [one, two]")
    try:
        path = folder / value
        if path.is_file():
            return path
        if value in shipped:
            return shipped[value]
        exists, is_folder = path.exists(), path.is_dir()
        beside = _file_names(path if is_folder else path.parent)
    except (OSError, ValueError) as error:
        raise InputError(f"{where}: {shown(value)} cannot be read as a file: {_why(error)}") from error
    if is_folder:
        raise InputError(f"{where}: {shown(value)} is a folder: name a file in it{', e.g. ' if beside else ''}{', '.join(beside[:3])}")
    if exists:
        raise InputError(f"{where}: {shown(value)} is no regular file: name a text file")
    raise InputError(f"{where}: no file {shown(value)} beside the recipe{_instead(value, beside, shipped)}")


def shipped_folder(name: str, suffix: str) -> dict[str, Path]:
    """The files of `data/<name>/` by every name that a recipe may use: `compliance`, `compliance.txt`, `topics/compliance.txt`."""
    paths = sorted(resource("data", name).glob(f"*{suffix}"))
    return {key: path for path in paths for key in (path.stem, path.name, f"{name}/{path.name}")}


def shipped_file(name: str) -> dict[str, Path]:
    """The file `data/<name>` by its name with and without its suffix."""
    path = resource("data", name)
    return {path.stem: path, path.name: path}


def read_text(path: Path, where: str) -> str:
    """The file's text; a UTF-8 byte order mark is dropped. Raises InputError for any other encoding, with the line."""
    try:
        if path.stat().st_size > MAX_FILE_MEBIBYTES << 20:
            raise InputError(f"{where}: {path}: larger than {MAX_FILE_MEBIBYTES} MiB: take a part of it")
        raw = path.read_bytes()
    except OSError as error:
        raise InputError(f"{where}: {path}: cannot be read: {_why(error)}") from error
    for mark, name in _WIDE_MARKS.items():
        if raw.startswith(mark):
            raise InputError(f"{where}: {path}: is {name}: save it as UTF-8")
    raw = raw.removeprefix(codecs.BOM_UTF8)
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise InputError(f"{where}: {path}:{line}: not UTF-8 (byte 0x{raw[error.start]:02x}): save the file as UTF-8") from error


def read_lines(path: Path, where: str) -> Iterator[Entry]:
    """The lines that hold more than white space, trimmed; those beginning with `#` are comments. U+2028 ends no line."""
    for number, line in enumerate(_LINE_END.split(read_text(path, where)), 1):
        text = line.strip()
        if text and not text.startswith("#"):
            yield Entry(text, f"{path}:{number}")


def read_objects(path: Path, where: str) -> Iterator[Entry]:
    """The JSON objects of a `.json` array, else of JSON Lines; empty lines are passed over.

    Raises InputError with the line of the first item that is no JSON object.
    """
    entries = _array(path, where) if path.suffix.lower() == ".json" else _json_lines(path, where)
    for entry in entries:
        if not isinstance(entry.value, dict):
            raise InputError(f"{where}: {entry.place}: {kind_of(entry.value)}, where a JSON object is needed")
        yield entry


def text_of(entry: Mapping[str, Any], key: str, *, place: str, max_characters: int) -> str:
    """The text under `key`, trimmed, line ends as `\\n`; empty when the key is absent or null.

    Raises InputError for any other type, control characters or too many characters.
    """
    value = entry.get(key)
    if value is None:
        return ""
    return checked_text(value, f"{place}: '{key}'", max_characters=max_characters)


def checked_text(value: object, place: str, *, max_characters: int) -> str:
    """`value` trimmed with line ends as `\\n`. Raises InputError unless it is text that a prompt and a database can hold."""
    if not isinstance(value, str):
        raise InputError(f"{place} must be text, got {kind_of(value)}")
    text = _LINE_END.sub("\n", value).strip()
    if len(text) > max_characters:
        raise InputError(f"{place} has {len(text):,} characters: at most {max_characters:,} are possible")
    if control := _CONTROL.search(text):
        raise InputError(f"{place} holds the control character U+{ord(control.group()):04X}: remove it")
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise InputError(f"{place} holds half a surrogate pair: write the whole character")
    return text


def nothing_in(value: object, where: str, noun: str) -> InputError:
    """The error for a list or file without a single `noun`."""
    return InputError(f"{where}: {f'{shown(value)} ' if isinstance(value, str) else ''}names no {noun}: write at least one")


def one_line(text: str) -> str:
    """The text with each stretch of white space as one space."""
    return " ".join(text.split())


def shown(value: str) -> str:
    """A value as messages quote it: on one line, shortened."""
    line = one_line(_CONTROL.sub("�", value))
    return f"'{line if len(line) <= _SHOWN_CHARACTERS else line[:_SHOWN_CHARACTERS] + '…'}'"


def kind_of(value: object) -> str:
    """What a JSON or YAML value is, in the words of a message: `a list`, `the number 5`, `nothing`."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return f"the number {value}" if abs(value) < 1e15 else "a number"  # an int of 5,000 digits has no text in Python
    if isinstance(value, str):
        return f"the text {shown(value)}"
    if isinstance(value, Mapping):
        return "an object"
    return "a list" if isinstance(value, list | tuple) else f"a {type(value).__name__}"


def _json_lines(path: Path, where: str) -> Iterator[Entry]:
    for number, line in enumerate(_LINE_END.split(read_text(path, where)), 1):
        if line.strip():
            yield Entry(_parsed(line, f"{where}: {path}:{number}"), f"{path}:{number}")


def _array(path: Path, where: str) -> Iterator[Entry]:
    text = read_text(path, where)
    try:
        items = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise InputError(f"{where}: {path}:{error.lineno}: invalid JSON: {error.msg} (column {error.colno})") from error
    if not isinstance(items, list):
        raise InputError(f"{where}: {path}: {kind_of(items)}, where a .json file needs a list of objects")
    for number, item in enumerate(items, 1):
        yield Entry(item, f"{path}: item {number}")


def _parsed(line: str, place: str) -> Json:
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise InputError(f"{place}: invalid JSON: {error.msg} (column {error.colno})") from error


def _file_names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.is_file()) if folder.is_dir() else []


def _instead(name: str, beside: list[str], shipped: Mapping[str, Path]) -> str:
    ours = sorted({path.stem for path in shipped.values()})
    close = get_close_matches(Path(name).name[:_SHOWN_CHARACTERS], [*beside, *ours], n=2)
    guess = f": did you mean {' or '.join(shown(match) for match in close)}?" if close else ":"
    return f"{guess} write a file's path, a list in brackets ([one, two]) or a list that Sluice ships ({', '.join(ours)})"


def _why(error: OSError | ValueError) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
