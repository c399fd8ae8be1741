"""Find the texts of added tokens in a text."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import takewhile

_CONTROL_LIKE = re.compile(r"<\|[^|<>\s]{1,60}\|>")  # in ChatML, Llama 3, Phi


@dataclass(frozen=True, slots=True)
class TokenTexts:
    """Any of some texts. `begin` is what all of them begin with: sought much faster than they are."""

    pattern: re.Pattern[str]
    begin: str

    def named(self, text: str) -> list[str]:
        """Those in `text`, in order."""
        return self.pattern.findall(text) if self.begin in text else []

    def within(self, text: str) -> bool:
        """Whether any is in `text`."""
        return self.begin in text and self.pattern.search(text) is not None


def token_texts(texts: Iterable[str]) -> TokenTexts:
    """Any of `texts`, the longest first as tokenizers do; nothing at all when there are none.

    >>> token_texts(["<|end|>", "<|end"]).named("<|end|> and <|end")
    ['<|end|>', '<|end']
    """
    longest_first = sorted(filter(None, texts), key=len, reverse=True)
    begin = "".join(letters[0] for letters in takewhile(lambda letters: len(set(letters)) == 1, zip(*longest_first, strict=False)))
    return TokenTexts(re.compile("|".join(map(re.escape, longest_first)) or r"(?!)"), begin)


def control_like(text: str) -> set[str]:
    """What in `text` looks like a control token of some model.

    >>> control_like("a <|im_end|> and <| no |>")
    {'<|im_end|>'}
    """
    return set(_CONTROL_LIKE.findall(text)) if "<|" in text else set()
