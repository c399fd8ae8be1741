"""A plausible token count, and cutting a text at it: short words are one token, longer ones several, as with real tokenizers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from random import Random

# A run of white space belongs to the token after it; eight letters a token comes near a byte-pair encoding's mean on English prose.
_TOKEN = re.compile(r"\s{0,64}(?:[A-Za-z0-9_]{1,8}|[^A-Za-z0-9_\s])|\s{1,64}")


def count_tokens(text: str) -> int:
    """How many tokens `text` has.

    >>> count_tokens("Keep it short."), count_tokens("authentication")
    (4, 2)
    """
    return sum(1 for _ in _TOKEN.finditer(text))


def cut(text: str, max_tokens: int | None, stop: Sequence[str] = ()) -> tuple[str, str, str | None]:
    """`text` as far as a model would have come: (text, "stop" or "length", the stop sequence that ended it or None).

    A stop sequence is not part of the text, as on the real APIs.
    """
    found = sorted((place, sequence) for sequence in stop if sequence and (place := text.find(sequence)) >= 0)
    ended_by = found[0][1] if found else None
    if found:
        text = text[: found[0][0]]
    if max_tokens is not None:
        for number, match in enumerate(_TOKEN.finditer(text)):
            if number == max_tokens:
                return text[: match.start()], "length", None
    return text, "stop", ended_by


def cut_within_sentence(text: str, rng: Random) -> str:
    """`text` without its last 25 to 65 %, ending inside a sentence: what a model leaves when its token limit is reached."""
    tokens = [match.group() for match in _TOKEN.finditer(text)]
    keep = max(1, int(len(tokens) * rng.uniform(0.35, 0.75)))
    while keep > 1 and not tokens[keep - 1][-1].isalnum():
        keep -= 1
    return "".join(tokens[:keep])
