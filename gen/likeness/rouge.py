"""ROUGE-L between word sequences: how much of two texts is the same words in the same order.

The F measure (2 · longest common subsequence ÷ the two lengths; Lin 2004) with which Self-Instruct keeps its pool diverse: a new
instruction stays when it is below 0.7 with every earlier one (Wang et al. 2023, section 2.2). Words are coded as one character each, so
that rapidfuzz compares whole texts at millions of pairs per second: brute force over a pool of 100,000 beats any prefix index.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from functools import lru_cache
from itertools import count

from rapidfuzz import process
from rapidfuzz.distance import Indel

MAX_CHARS = 20_000  # characters of a text that are compared: some 3,500 words, beyond any instruction

_WORD = re.compile(r"[\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff]|[^\W_]{1,64}")
_CHARACTERS = 0x110000
_codes: dict[str, str] = {}
_next_code = count()


def rouge_l(one: str, other: str) -> float:
    """ROUGE-L F of two texts, 0 … 1, case and punctuation aside. Texts without any word are compared by what stands
    between their white space.

    >>> rouge_l("Write a short poem about rain.", "Write a poem about the rain")
    0.8333333333333334
    """
    return Indel.normalized_similarity(coded(one), coded(other))


def nearest(text: str, others: Sequence[str]) -> tuple[int, float]:
    """Which of `others` has the highest ROUGE-L with `text`, the first of equals, and how high; (-1, 0.0) when there are none.

    >>> nearest("Sort a list of names.", ["Write a poem.", "Sort a list of numbers.", "Sort numbers."])
    (1, 0.8)
    """
    return nearest_coded(coded(text), [coded(other) for other in others])


def nearest_coded(text: str, others: Sequence[str], *, at_least: float = 0.0) -> tuple[int, float]:
    """The same on texts that `coded` coded; (-1, 0.0) when none reaches `at_least`, which makes it many times faster."""
    found = process.extractOne(text, others, scorer=Indel.normalized_similarity, score_cutoff=at_least)
    return (found[2], found[1]) if found else (-1, 0.0)


@lru_cache(maxsize=65_536)
def coded(text: str) -> str:
    """The text's words, one character each: equal words have equal characters as long as the process runs.

    After 1,114,112 different words, new ones share the characters of old ones by their checksum.
    """
    folded = text[:MAX_CHARS].casefold()
    return "".join(map(_code, _WORD.findall(folded) or folded.split()))


def _code(word: str) -> str:
    code = _codes.get(word)
    if code is None:
        if len(_codes) >= _CHARACTERS:
            return chr(zlib.crc32(word.encode("utf-8", "surrogatepass")) % _CHARACTERS)
        code = _codes.setdefault(word, chr(next(_next_code) % _CHARACTERS))
    return code
