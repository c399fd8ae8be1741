"""Read a dataset of any usual shape, line by line, losing nothing: each line becomes a record or is named as unreadable, with its reason.

Shapes are found out record by record: chat messages (`messages`), ShareGPT (`conversations`), Alpaca (`instruction`, `input`, `output`),
prompt and completion (texts or lists of messages), question and answer. Memory stays flat: one line at a time.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import orjson

from gen.errors import InputError
from gen.types import Message, Provenance, Sample

MAX_LINE_BYTES = 256 * 1024 * 1024  # a longer line is no record of a training set
_GZIP_MAGIC = b"\x1f\x8b"
_UTF8_BOM = b"\xef\xbb\xbf"
_UTF16_BOMS = (b"\xff\xfe", b"\xfe\xff")
SHAREGPT_ROLES = {
    "human": "user",
    "user": "user",
    "gpt": "assistant",
    "assistant": "assistant",
    "chatgpt": "assistant",
    "bot": "assistant",
} | {
    "model": "assistant",
    "system": "system",
    "tool": "tool",
    "function": "tool",
    "observation": "tool",
}
PAIRS = (
    ("instruction", "output"),
    ("instruction", "response"),
    ("instruction", "completion"),
    ("prompt", "completion"),
    ("prompt", "response"),
    ("question", "answer"),
    ("query", "response"),
    ("input", "output"),
)


@dataclass(frozen=True, slots=True)
class Record:
    """One readable line: its number from 1, its bytes as they came (without the line's end), the object and the sample in it,
    whose provenance says whether the record says that the simulator wrote it."""

    line: int
    raw: bytes
    fields: Mapping[str, Any]
    sample: Sample


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A line that holds no sample, and why."""

    line: int
    reason: str
    detail: str


def read_records(path: Path) -> Iterator[Record | Unreadable]:
    """Every line of a JSON Lines file, plain or gzip (told by its bytes, not its name); blank lines are no records.

    Raises InputError when the file as a whole cannot be read: missing, a folder, UTF-16, a gzip stream that is cut off or broken.
    """
    with _opened(path) as file:
        number = 0
        while line := file.readline(MAX_LINE_BYTES + 1):
            number += 1
            if len(line) > MAX_LINE_BYTES:
                yield Unreadable(number, "too_long", f"more than {MAX_LINE_BYTES} bytes in one line")
                while line and not line.endswith(b"\n"):
                    line = file.readline(MAX_LINE_BYTES)
                continue
            if number == 1:
                line = line.removeprefix(_UTF8_BOM)
            raw = line.strip(b" \t\r\n")
            if raw:
                yield _record(number, raw)


def messages_of(fields: Mapping[str, Any]) -> tuple[Message, ...] | str:
    """The conversation in a record of any known shape, or what is wrong with it.

    >>> messages_of({"instruction": "Add", "input": "2 + 2", "output": "4"})[0].content
    'Add\\n\\n2 + 2'
    >>> messages_of({"messages": "Hi"})
    "'messages' must be a list, got str"
    """
    for key in ("messages", "conversations", "conversation"):
        if key in fields:
            turns = _turns(fields[key], key)
            system = fields.get("system")
            if isinstance(turns, tuple) and isinstance(system, str) and system and (not turns or turns[0].role != "system"):
                return (Message("system", system), *turns)
            return turns
    for asked, answered in PAIRS:
        if asked in fields and answered in fields:
            return _pair(fields, asked, answered)
    shown = ", ".join(sorted(map(str, fields))[:8]) or "none"
    return f"no known shape: messages, conversations, instruction and output, or prompt and completion; its keys are {shown[:200]}"


def says_simulated(fields: Mapping[str, Any]) -> bool:
    """Whether a record says that the simulator wrote it.

    >>> says_simulated({"simulated": True}), says_simulated({"provenance": {"simulated": True}}), says_simulated({"simulated": "no"})
    (True, True, False)
    """
    provenance = fields.get("provenance")
    return fields.get("simulated") is True or (isinstance(provenance, Mapping) and provenance.get("simulated") is True)


def _record(number: int, raw: bytes) -> Record | Unreadable:
    try:
        fields = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        try:
            raw.decode("utf-8")
        except UnicodeDecodeError as wrong:
            return Unreadable(number, "not_utf8", f"byte {wrong.start + 1} of the line is not UTF-8")
        return Unreadable(number, "invalid_json", f"{error.msg} (column {error.colno})"[:200])
    if not isinstance(fields, dict):
        return Unreadable(number, "not_an_object", f"a record is a JSON object, got {_kind(fields)}")
    found = messages_of(fields)
    if isinstance(found, str):
        return Unreadable(number, "unknown_shape" if found.startswith("no known shape") else "wrong_type", found)
    return Record(number, raw, fields, Sample(f"line {number}", found, provenance=Provenance(simulated=says_simulated(fields))))


def _turns(value: Any, key: str) -> tuple[Message, ...] | str:
    if not isinstance(value, list):
        return f"'{key}' must be a list, got {_kind(value)}"
    turns = []
    for place, one in enumerate(value):
        if not isinstance(one, dict):
            return f"{key}[{place}] must be an object with role and content, got {_kind(one)}"
        role = one.get("role", one.get("from"))
        if not isinstance(role, str):
            return f"{key}[{place}] has no role"
        text = _text(one.get("content", one.get("value")))
        if text is None:
            return f"{key}[{place}].content must be a text, got {_kind(one.get('content', one.get('value')))}"
        turns.append(Message(SHAREGPT_ROLES.get(role, role), text))
    return tuple(turns)


def _pair(fields: Mapping[str, Any], asked: str, answered: str) -> tuple[Message, ...] | str:
    sides: list[tuple[Message, ...]] = []
    for key, role in ((asked, "user"), (answered, "assistant")):
        value = fields[key]
        if isinstance(value, list):
            side = _turns(value, key)
            if isinstance(side, str):
                return side
            sides.append(side)
        elif isinstance(value, str):
            sides.append((Message(role, value),))
        else:
            return f"'{key}' must be a text or a list of messages, got {_kind(value)}"
    extra = fields.get("input") if asked == "instruction" else None
    if extra is not None and not isinstance(extra, str):
        return f"'input' must be a text, got {_kind(extra)}"
    if extra and len(sides[0]) == 1:
        sides[0] = (Message("user", f"{sides[0][0].content}\n\n{extra}"),)
    system = fields.get("system")
    if system is not None and not isinstance(system, str):
        return f"'system' must be a text, got {_kind(system)}"
    return ((Message("system", system),) if system else ()) + sides[0] + sides[1]


def _text(value: Any) -> str | None:
    """A message's text; parts of a multi-part content are joined where all of them are text."""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and value and all(isinstance(part, dict) and isinstance(part.get("text"), str) for part in value):
        return "\n".join(part["text"] for part in value)
    return None


def _kind(value: Any) -> str:
    return {type(None): "null", bool: "true or false", int: "a number", float: "a number", dict: "an object", list: "a list"}.get(
        type(value), type(value).__name__
    )


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    try:
        with path.open("rb") as plain:
            start = plain.read(4)
            plain.seek(0)
            if start[:2] in _UTF16_BOMS:
                raise InputError(f"{path}: UTF-16 text; convert it to UTF-8 first (iconv -f UTF-16 -t UTF-8)")
            if start.startswith(_GZIP_MAGIC):
                with gzip.GzipFile(fileobj=plain) as unpacked:
                    yield unpacked  # type: ignore[misc]
            else:
                yield plain
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"{path}: the gzip stream is cut off or broken ({error})") from error
    except OSError as error:
        raise InputError(f"{path}: {(error.strerror or str(error)).lower()}") from error
