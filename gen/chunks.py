"""Cut a text into chunks at the best borders there are, losing no character: paragraphs, then lines, sentences, words, characters."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from gen.text import count_words

# Each splits a text after a border, the white space left with what goes before it; the coarsest first.
_BORDERS = (
    re.compile(r"(?<=\n)(?<=\n\n)(?=[^\n])|(?<=\n\r\n)(?=[^\r\n])"),
    re.compile(r"(?<=\n)"),
    re.compile(r"(?<=[.!?…]\s)(?=\S)|(?<=[。！？])"),
    re.compile(r"(?<=\s)(?=\S)"),
)


def chunks(text: str, limit: int, *, overlap: int = 0, measure: Callable[[str], int] = count_words) -> Iterator[str]:
    """The text in chunks that measure at most `limit`, cut at paragraphs where they are short enough, else at the next finer border.

    Without an overlap the chunks join to the text. With one, each chunk begins with the end of the one before: whole pieces that
    measure at most `overlap`. A piece is measured by itself, so `measure` should not grow when pieces are joined.

    Raises ValueError for a limit below 1 or an overlap that is not below the limit.

    >>> list(chunks("One two.\\n\\nThree four five.\\n\\nSix.", 4))
    ['One two.\\n\\n', 'Three four five.\\n\\nSix.']
    >>> list(chunks("a b c d e", 2, overlap=1))
    ['a b ', 'b c ', 'c d ', 'd e']
    """
    if limit < 1 or not 0 <= overlap < limit:
        raise ValueError(f"a limit of {limit} and an overlap of {overlap}: the limit must be at least 1 and above the overlap")
    held: list[str] = []
    sizes: list[int] = []
    total = 0
    for piece, size in _pieces(text, limit - overlap, measure, 0):
        if held and total + size > limit:
            yield "".join(held)
            kept = _tail(sizes, min(overlap, limit - size))
            held, sizes = held[len(held) - kept :], sizes[len(sizes) - kept :]
            total = sum(sizes)
        held.append(piece)
        sizes.append(size)
        total += size
    if held:
        yield "".join(held)


def _pieces(text: str, limit: int, measure: Callable[[str], int], level: int) -> Iterator[tuple[str, int]]:
    """The text in pieces that measure at most `limit`, each with its measure."""
    size = measure(text) if level else limit + 1
    if size <= limit:
        yield text, size
    elif level < len(_BORDERS):
        for piece in _BORDERS[level].split(text):
            if piece:
                yield from _pieces(piece, limit, measure, level + 1)
    elif len(text) > 1:
        middle = len(text) // 2
        for half in (text[:middle], text[middle:]):
            yield from _pieces(half, limit, measure, level)
    else:
        yield text, size


def _tail(sizes: Sequence[int], overlap: int) -> int:
    """How many of the last pieces measure at most `overlap` together."""
    total = count = 0
    for size in reversed(sizes):
        total += size
        if overlap < 1 or total > overlap:  # white space measures nothing and is still no part of an overlap of 0
            break
        count += 1
    return count
