"""Rejects samples that hold a term of the user's own list: product names, competitors, code names, words a policy bans."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from gen.errors import InputError
from gen.patterns.redaction import Side, text_of
from gen.types import Sample, Verdict, kept, rejected

# A word is a run of letters, digits and underscores, as \w has them; scripts written without spaces are taken character by character,
# because a term in them stands in the middle of a longer run: CJK, kana, Thai, Lao, Khmer, Burmese.
_UNSPACED = r"\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"
_WORD = re.compile(rf"[{_UNSPACED}]|[^\W{_UNSPACED}]+")
_MAXIMUM_FILE_BYTES = 32 * 1024 * 1024


@dataclass(frozen=True)
class Denylist:
    """No term of a list, as whole words, whatever the case and the punctuation between the words.

    `file` holds one term or phrase on each line, UTF-8, lines that start with `#` are comments; `terms` adds more. At least one term is
    needed. `on` says whose turns are read. A text costs one lookup for each of its words, however long the list is. The reason is
    `denied_term`; the detail names the place in the list, not the term, so that a list of secret names stays secret.

    >>> from gen.types import Message
    >>> gate = Denylist(terms=("project nightjar",))
    >>> gate.check(Sample("1", (Message("user", "What is Project-Nightjar?"), Message("assistant", "No idea.")))).detail
    'term 1 of terms in message 0'
    """

    file: str = ""
    terms: tuple[str, ...] = ()
    on: Side = "both"
    _by_first: dict[str, tuple[tuple[tuple[str, ...], str], ...]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        entries = [(term, f"term {number} of terms") for number, term in enumerate(self.terms, 1)]
        if self.file:
            entries += _read(Path(self.file))
        object.__setattr__(self, "_by_first", _index(entries))
        if not self._by_first:
            raise ValueError("the list is empty: name a 'file' with one term on each line, or 'terms'")

    def check(self, sample: Sample) -> Verdict:
        for number, message in enumerate(sample.messages):
            if place := self._place(text_of(message, self.on)):
                return rejected("denylist", "denied_term", f"{place} in message {number}")
        return kept("denylist")

    def _place(self, text: str) -> str:
        words = _words(text)
        for index, word in enumerate(words):
            for phrase, place in self._by_first.get(word, ()):
                if tuple(words[index : index + len(phrase)]) == phrase:
                    return place
        return ""


def _read(path: Path) -> Iterator[tuple[str, str]]:
    try:
        if path.stat().st_size > _MAXIMUM_FILE_BYTES:
            raise InputError(f"denylist {path} is larger than {_MAXIMUM_FILE_BYTES >> 20} MB: one term on each line is expected")
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"denylist {path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"denylist {path} is not UTF-8 (byte {error.start}): save it as UTF-8") from error
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip() and not line.lstrip().startswith("#"):
            yield line, f"line {number} of {path.name}"


def _index(entries: Iterable[tuple[str, str]]) -> dict[str, tuple[tuple[tuple[str, ...], str], ...]]:
    by_first: dict[str, list[tuple[tuple[str, ...], str]]] = {}
    for term, place in entries:
        phrase = tuple(_words(term))
        if not phrase:
            raise InputError(f"{place} has no letter or digit to look for: remove it")
        by_first.setdefault(phrase[0], []).append((phrase, place))
    return {first: tuple(found) for first, found in by_first.items()}


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())


PLUGIN = Denylist
