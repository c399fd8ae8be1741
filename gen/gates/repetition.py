"""Keep replies that do not go round in circles."""

from __future__ import annotations

import re
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import eq

from gen.bounds import to_try
from gen.text import capped, code_share, contents, lines, ngrams, words
from gen.types import Sample, Verdict, kept, rejected

# Rae et al. 2021 (Gopher), table A1: share of characters in the most frequent 2-, 3-, 4-gram, and in all duplicate 5- … 10-grams.
_TOP = {2: 0.20, 3: 0.18, 4: 0.16}
_DUPLICATE = {5: 0.15, 6: 0.14, 7: 0.13, 8: 0.12, 9: 0.11, 10: 0.10}
_RUN = re.compile(r"([^\s\d.=_*#~|+<>/-])\1{15}|([^\w\s])\2{79}")
_EVERY = 4  # of a run of sixteen, every fourth character is still four in a row
_SAMPLED_RUN = re.compile(r"(\S)\1{3}")
_WORD_RUN = 6  # one word so often in a row: "very very very" is style, a seventh time is a loop
_LOOP = 4  # an n-gram that comes less often is a turn of phrase


@dataclass(frozen=True, slots=True)
class Repetition:
    """Rejects loops: one character or word over and over, the same n-grams, the same lines, or a text that zlib packs to a fraction.

    The measures are Gopher's (Rae et al. 2021, table A1) on the reply; those thresholds were made for web pages and judge one third of
    good short answers to be bad, so here each is taken times `tolerance`, only an n-gram that comes at least four times counts, and texts
    under `min_words` are left to the loop rules. Plain prose compresses to 0.4 to 0.7 of its bytes; `min_compression` 0.2 means that four
    fifths repeat; `max_duplicate_lines` is ours, Gopher's .3 loosened for short answers. Code repeats by nature:
    there only loops and lines count, with twice the patience.
    Reasons: `repeated_characters`, `repeated_words`, `repeated_lines`, `repeated_ngrams`, `compresses_too_well`.

    >>> from gen.types import Message
    >>> PLUGIN().check(Sample("1", (Message("assistant", "I like tea. " * 20),))).reason
    'repeated_ngrams'
    """

    tolerance: float = 3.0
    min_words: int = 20
    min_compression: float = 0.2
    max_duplicate_lines: float = 0.5

    thresholds = to_try(tolerance=(1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0), min_compression=(0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4))

    def __post_init__(self) -> None:
        if self.tolerance <= 0 or self.min_words < 1:
            raise ValueError(f"tolerance must be above 0 and min_words at least 1, got {self.tolerance} and {self.min_words}")
        if not (0 <= self.min_compression < 1 and 0 < self.max_duplicate_lines <= 1):
            raise ValueError(f"shares lie between 0 and 1, got {self.min_compression} and {self.max_duplicate_lines}")

    def check(self, sample: Sample) -> Verdict:
        for text in contents(sample, "assistant"):
            reason, detail = self._loop(text)
            if reason:
                return rejected("repetition", reason, detail)
        return kept("repetition")

    def _loop(self, text: str) -> tuple[str, str]:
        body = capped(text)
        if found := _SAMPLED_RUN.search(body[::_EVERY]) and _RUN.search(body):
            return "repeated_characters", f"{found[0][:1]!r} 16 times or more in a row"
        tokens = words(text)
        if run := _longest_run(tokens):
            return "repeated_words", f"{run} times in a row, maximum {_WORD_RUN}"
        rows = lines(text)
        if len(rows) >= 4 and (reason := self._lines(text, rows)):
            return "repeated_lines", reason
        if len(tokens) < self.min_words:
            return "", ""
        if code_share(text) < 0.5 and (detail := self._ngrams(tokens)):
            return "repeated_ngrams", detail
        if len(body) >= 200:
            raw = body.encode("utf-8", "replace")
            ratio = len(zlib.compress(raw, 1)) / len(raw)
            if ratio < self.min_compression:
                return "compresses_too_well", f"{ratio:.2f} of its bytes, minimum {self.min_compression:.2f}"
        return "", ""

    def _lines(self, text: str, rows: tuple[str, ...]) -> str:
        long = [row for row in rows if len(row) > 3]  # closing brackets repeat in any program
        if len(set(long)) == len(long):
            return ""
        share = 1 - len(set(long)) / len(long)
        limit = self.max_duplicate_lines if code_share(text) < 0.5 else (1 + self.max_duplicate_lines) / 2
        top = max(Counter(long).values())
        return f"{share:.2f} of the lines, maximum {limit:.2f}" if share > limit and top >= _LOOP else ""

    def _ngrams(self, tokens: tuple[str, ...]) -> str:
        if len(set(tokens)) > 0.6 * len(tokens):  # so many different words leave no room for a loop
            return ""
        if 2 * sum(map(str.isalpha, tokens)) < len(tokens):  # sums, tables and notation repeat rightly
            return ""
        total = sum(map(len, tokens))
        for size, share in _TOP.items():
            gram, count = Counter(ngrams(tokens, size)).most_common(1)[0]
            found = count * sum(map(len, gram)) / total
            if count >= _LOOP and found > self.tolerance * share:
                return f"top {size}-gram {found:.2f} of the characters, maximum {self.tolerance * share:.2f}"
            if count < _LOOP:  # then no longer n-gram comes so often either
                return ""
        for size, share in _DUPLICATE.items():
            found = _duplicate_share(tokens, size, total)
            if found > self.tolerance * share:
                return f"duplicate {size}-grams {found:.2f} of the characters, maximum {self.tolerance * share:.2f}"
        return ""


def _longest_run(tokens: tuple[str, ...]) -> int:
    """How often one word of two letters and more comes in a row, where that is more than `_WORD_RUN` times; else 0."""
    if sum(map(eq, tokens, tokens[1:])) < _WORD_RUN:
        return 0
    runs = (sum(1 for _ in group) for word, group in groupby(tokens) if len(word) > 1 and word.isalpha())
    longest = max(runs, default=0)
    return longest if longest > _WORD_RUN else 0


def _duplicate_share(tokens: Sequence[str], size: int, total: int) -> float:
    """The share of characters in n-grams that were there before, no character counted twice (Gopher's measure)."""
    counts = Counter(ngrams(tokens, size))
    if max(counts.values(), default=0) < _LOOP:
        return 0.0
    seen: set[tuple[str, ...]] = set()
    inside = place = 0
    while place + size <= len(tokens):
        gram = tuple(tokens[place : place + size])
        if gram in seen:
            inside += sum(map(len, gram))
            place += size
        else:
            seen.add(gram)
            place += 1
    return inside / total


PLUGIN = Repetition
