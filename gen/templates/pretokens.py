"""Remember the ids of pre-tokens, so that a tokenizer merges each of them once and not in every text that holds it.

Byte-level tokenizers (GPT-2, Llama 3, Qwen, DeepSeek) cut a text into pre-tokens and encode each as if it stood alone. So the ids of a
text are those of its pre-tokens in a row, and a dictionary gives them some five times faster than merging does. ASCII is cut here;
a stretch with other characters, from one space before a letter to the next, is remembered as one. Before anything is believed, our
cuts are compared with the tokenizer's own on every text of two ASCII characters and on thousands of nasty ones.

What is remembered is bounded; what is given is exactly what the tokenizer gives.
"""

from __future__ import annotations

import json
import random
import re
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from tokenizers import Tokenizer as Backend

from gen.templates.ascii_split import Split, ascii_split, ends_in_bytes
from gen.templates.token_texts import TokenTexts, token_texts

MAX_KNOWN = 300_000  # pre-tokens remembered, some 60 MB; then the memory begins anew
LONGEST_KNOWN = 64  # characters; a longer pre-token is hardly met again

# A stretch between two spaces before letters, or an edge of the text, that holds a character beyond ASCII.
_FOREIGN = re.compile(r"((?:\A| (?=[A-Za-z]))(?:[\x00-\x1f!-\x7f]| (?![A-Za-z]))*+[^\x00-\x7f](?:[^ ]| (?![A-Za-z]))*+)")
_KINDS = "aZsl1 '\n\r\t./-_"  # one character of every kind that the expressions tell apart
_PROBES = 3000
# How ByteLevel writes the bytes that are no visible ASCII character: as the letters from U+0100 on.
_BYTE_LETTERS = {byte: chr(256 + place) for place, byte in enumerate([*range(33), 127])}
_WORDS = (
    "the",
    " The",
    "It's",
    " we'LL",
    "'re",
    "HelloWorld",
    "x1",
    " 2024",
    "3.14",
    "\n\n",
    "  ",
    "    ",
    "\r\n",
    " \n",
    "\t",
    "...",
    "--",
)
_ASCII_PARTS = (*_WORDS, " (", "):", "```", "/*", "//", "_", "$", "\x00", "\x1c", "\x7f", "a", "B", " ", "'")
_OTHER_PARTS = (
    *_ASCII_PARTS,
    "é",
    " naïve",
    "e\u0301",
    "\u0301",
    "’s",
    "—",
    " “",
    "”",
    "中文",
    "٣",
    "😀",
    "\xa0",
    "\u3000",
    "\u2028",
    "\u200b",
    "ſ",
)


def packed_ids(ids: Iterable[int]) -> bytes:
    """Token ids as int32 one after the other."""
    return array("i", ids).tobytes()


class _Known(dict[str, bytes]):
    """Ids by pre-token. A new one is encoded when it is asked for; a long one counts as nothing, and is wanted."""

    def __init__(self, backend: Backend, *, byte_level: bool) -> None:
        super().__init__()
        self.backend = backend
        self.merge = backend.model.tokenize if byte_level else None
        self.wanted: list[str] = []

    def __missing__(self, word: str) -> bytes:
        if len(word) > LONGEST_KNOWN:
            self.wanted.append(word)
            return b""
        if self.merge is not None and word.isascii():  # past what goes before merging: a third of the time
            ids = [token.id for token in self.merge(word.translate(_BYTE_LETTERS))]
        else:
            ids = self.backend.encode(word, add_special_tokens=False).ids
        found = self[word] = packed_ids(ids)
        return found


@dataclass(slots=True)
class Pretokens:
    """The memory of one tokenizer. Open it with `open_pretokens`."""

    _split: Split
    _added: TokenTexts
    _added_ascii: TokenTexts
    _known: _Known

    def encode(self, texts: Sequence[str]) -> list[bytes | None]:
        """The ids of each text as int32, control tokens in it read as text; None for one that the tokenizer must encode itself, since
        it holds the text of an added token."""
        known, look_up = self._known, self._known.__getitem__
        if len(known) > MAX_KNOWN:
            known.clear()
        found: list[bytes | None] = []
        waiting: list[tuple[int, list[str]]] = []
        for text in texts:
            words = self._words(text)
            if words is None:
                found.append(None)
                continue
            before = len(known.wanted)
            found.append(b"".join(map(look_up, words)))
            if len(known.wanted) > before:
                waiting.append((len(found) - 1, words))
        if waiting:
            self._with_long_words(waiting, found)
        return found

    def _with_long_words(self, waiting: Sequence[tuple[int, list[str]]], found: list[bytes | None]) -> None:
        """Encode what is too long to be met again, on every core, and put it in its places."""
        known = self._known
        long = list(dict.fromkeys(known.wanted))
        known.wanted.clear()
        encodings = known.backend.encode_batch_fast(long, add_special_tokens=False)
        known.update(zip(long, (packed_ids(encoding.ids) for encoding in encodings), strict=True))
        for position, words in waiting:
            found[position] = b"".join(map(known.__getitem__, words))
        for word in long:
            del known[word]

    def _words(self, text: str) -> list[str] | None:
        if text.isascii():
            return None if self._added_ascii.within(text) else self._split(text)
        if self._added.within(text):
            return None
        words: list[str] = []
        for place, part in enumerate(_FOREIGN.split(text)):
            words.extend((part,) if place % 2 else self._split(part))
        return words


def open_pretokens(backend: Backend, added: Iterable[str]) -> Pretokens | None:
    """A memory for `backend`, which reads control tokens as text; `added` are its added tokens' texts. None where the tokenizer cuts
    texts in a way that is not known here, or is seen to cut them in another than it says."""
    described = _described(backend.normalizer), _described(backend.pre_tokenizer)
    splits = (ascii_split(*described, words_first=words_first) for words_first in (True, False))
    split = next((split for split in splits if split is not None and _same_cuts(backend, split)), None)
    if split is None or getattr(backend.model, "dropout", None):
        return None
    texts = list(added)
    known = _Known(backend, byte_level=ends_in_bytes(described[1]))
    pretokens = Pretokens(split, token_texts(texts), token_texts(text for text in texts if text.isascii()), known)
    return pretokens if _same_ids(backend, pretokens) else None


def _described(part: Any) -> Any:
    """A part of a tokenizer as its tokenizer.json has it."""
    return None if part is None else json.loads(part.__getstate__())


def _same_cuts(backend: Backend, split: Split) -> bool:
    cut = backend.pre_tokenizer.pre_tokenize_str
    for text in _ascii_probes():
        at = 0
        for word, (_, (start, end)) in zip(words := split(text), theirs := cut(text), strict=False):
            if start != at or end != at + len(word):
                return False
            at = end
        if at != len(text) or len(words) != len(theirs):
            return False
    return True


def _same_ids(backend: Backend, pretokens: Pretokens) -> bool:
    texts = list(_mixed(_OTHER_PARTS))
    theirs = backend.encode_batch_fast(texts, add_special_tokens=False)
    return all(ours is None or ours == packed_ids(encoding.ids) for ours, encoding in zip(pretokens.encode(texts), theirs, strict=True))


def _ascii_probes() -> Iterator[str]:
    letters = [chr(number) for number in range(128)]
    yield from letters
    yield from map("".join, product(letters, repeat=2))
    yield from map("".join, product(_KINDS, repeat=3))
    yield from _mixed(_ASCII_PARTS)


def _mixed(parts: Sequence[str]) -> Iterator[str]:
    draw = random.Random(0)
    for _ in range(_PROBES):
        yield "".join(draw.choices(parts, k=draw.randint(2, 14)))
