"""Encode pieces by what is remembered of their pre-tokens where that is proved to be the same, by the tokenizer itself everywhere else.

The proof at the beginning looks at thousands of made-up texts; one in `_CHECKED` real ones is encoded both ways as well. Should they ever
differ, nothing that was encoded so far can be trusted, and that is an error which names the way out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Lock

from gen.errors import InputError
from gen.templates.pretokens import Pretokens
from gen.templates.tokenizer import ChatTokenizer, Piece

_CHECKED = 200  # one piece in so many is encoded both ways: some 2 % more work
_WORTH_A_PROOF = 400  # pieces at once; below, proving takes longer than encoding


@dataclass(slots=True)
class PieceEncoder:
    """Encodes for one tokenizer; `remember` is False to leave all of it to the tokenizer. May be used by several threads."""

    tokenizer: ChatTokenizer
    remember: bool = True
    _pretokens: Pretokens | None = field(default=None, repr=False)
    _proved: bool = field(default=False, repr=False)
    _met: int = field(default=0, repr=False)
    _one_at_a_time: Lock = field(default_factory=Lock, repr=False)

    def encode(self, pieces: Sequence[Piece]) -> list[bytes | None]:
        """As ChatTokenizer.encode. Raises InputError when a real text shows that what is remembered is wrong."""
        if not self.remember:
            return self.tokenizer.encode(pieces)
        with self._one_at_a_time:
            if not self._proved and len(pieces) >= _WORTH_A_PROOF:
                self._pretokens, self._proved = self.tokenizer.pretokens(), True
            return self.tokenizer.encode(pieces) if self._pretokens is None else self._remembered(self._pretokens, pieces)

    def _remembered(self, pretokens: Pretokens, pieces: Sequence[Piece]) -> list[bytes | None]:
        found = pretokens.encode([piece.text for piece in pieces])
        left = [place for place, ids in enumerate(found) if ids is None]
        checked = [place for place in range(-self._met % _CHECKED, len(pieces), _CHECKED) if found[place] is not None]
        self._met += len(pieces)
        exact = self.tokenizer.encode([pieces[place] for place in (*left, *checked)])
        for place, ids in zip((*left, *checked), exact, strict=True):
            if found[place] is not None and found[place] != ids:
                raise InputError(
                    f"the tokenizer '{self.tokenizer.name}' cuts a text in another way than its tokenizer.json says, which was noticed by a"
                    " check: pack again with `remember: false`, which is slower"
                )
            found[place] = ids
        return found
