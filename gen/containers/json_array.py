"""The elements of a JSON array, one by one: what is held is one element and a block of text, however large the file.

The standard library's scanner reads one value at a place of a text and tells where it stopped; where it ran out of text, more is read
and the value tried again, with twice as much each time, so that an element is scanned a bounded number of times.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from typing import Any

from gen.containers.rows import MAX_ROW_BYTES, Unreadable
from gen.containers.streams import Stream

_BLOCK = 1 << 18
_SPACE = re.compile(r"[ \t\r\n]*+")
_NOT_UTF8 = re.compile("[\udc80-\udcff]")  # how such bytes are decoded
_CUT_TOKEN = 16  # a token that the end of the text cuts (a number, \ud83d, false) begins at most so far before it
_DIGITS = 18  # what fits 64 bits; a longer integer is read as a floating-point number


def elements(stream: Stream) -> Iterator[Any]:
    """Each element of the array that the stream holds; an Unreadable as the last where the rest cannot be told apart any more."""
    text = _Text(stream)
    number, at = 0, text.skip(0) + 1  # past the bracket
    while True:
        number += 1
        try:
            at = text.skip(at)
            if text.at(at) == "]":
                return
            if not text.at(at):
                yield Unreadable(number, "invalid_json", "the array has no end: the file is cut off")
                return
            begins = at
            value, at = text.value(at)
            broken = text.is_broken(begins, at)
            yield Unreadable(number, "not_utf8", "the element holds bytes that are not UTF-8") if broken else value
            at = text.skip(at)
            if text.at(at) == ",":
                at = text.forget(at + 1)
            elif text.at(at) != "]":
                yield Unreadable(number + 1, "invalid_json", "no comma after the element before: the rest of the array was not read")
                return
        except (ValueError, RecursionError) as error:
            why = "nested too deeply" if isinstance(error, RecursionError) else getattr(error, "msg", str(error))
            yield Unreadable(number, "invalid_json", f"{why}: the rest of the array was not read"[:200])
            return


class _Text:
    """The part of the stream's text that is still needed."""

    def __init__(self, stream: Stream) -> None:
        self._stream, self._decode = stream, codecs.getincrementaldecoder("utf-8-sig")("surrogateescape")
        self._scan = json.JSONDecoder(parse_int=_integer, parse_constant=_no_constant).raw_decode
        self._held, self._ended = "", False

    def at(self, place: int) -> str:
        """The character at a place; empty at the end of the file."""
        while place >= len(self._held) and not self._ended:
            self._more(_BLOCK)
        return self._held[place : place + 1]

    def skip(self, place: int) -> int:
        """The next place from `place` on that is no white space."""
        while True:
            found = _SPACE.match(self._held, place)
            place = found.end() if found else place
            if place < len(self._held) or self._ended:
                return place
            self._more(_BLOCK)

    def forget(self, place: int) -> int:
        """Let go of what lies before `place`, once it is much; where that place is now."""
        if place < _BLOCK:
            return place
        self._held = self._held[place:]
        return 0

    def is_broken(self, start: int, end: int) -> bool:
        """Whether bytes that are no UTF-8 stand in that part."""
        return not self._held.isascii() and _NOT_UTF8.search(self._held, start, end) is not None

    def value(self, place: int) -> tuple[Any, int]:
        """The JSON value at `place` and where it ends. Raises ValueError where there is none."""
        while True:
            try:
                value, end = self._scan(self._held, place)
                if end < len(self._held) or self._ended:
                    return value, end
            except json.JSONDecodeError as error:
                cut = error.pos >= len(self._held) - _CUT_TOKEN or error.msg.startswith("Unterminated string")
                if self._ended or not cut:
                    raise
            if len(self._held) - place > MAX_ROW_BYTES:
                raise ValueError(f"an element of more than {MAX_ROW_BYTES} bytes")
            self._more(max(_BLOCK, len(self._held) - place))

    def _more(self, count: int) -> None:
        block = self._stream.read(count)
        self._ended = len(block) < count
        self._held += self._decode.decode(block, final=self._ended)


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) <= _DIGITS else float(digits)


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON")
