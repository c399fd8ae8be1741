"""Documents for continued pretraining: plain texts without a chat template, every token trained, cut at token borders where they are longer
than a row.

A document's ids are those that the tokenizer gives its text: what it puts before one by itself (a BOS, where it does), the text, and its
end-of-sequence token, once, so that a model learns where a text ends. A control token in a text stays text, as in a message.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from sys import byteorder

import numpy as np
from numpy.typing import NDArray

from gen.templates.chat_template import SURROGATE, Unfit
from gen.templates.piece_plan import ID_BYTES, Plan, ready
from gen.templates.templating import SpecialTokens
from gen.templates.token_texts import TokenTexts, control_like, token_texts
from gen.templates.tokenizer import ChatTokenizer, Piece

_DRIFT = 8  # characters that a border may be off: a character has at most four tokens, on either side


@dataclass(frozen=True, slots=True)
class Document:
    """A text without turns."""

    id: str
    text: str
    simulated: bool = False


@dataclass(frozen=True, slots=True)
class DocumentPlans:
    """How a tokenizer's documents are made; open with `document_plans`. `begin` and `end` are the ids around a text."""

    tokenizer: ChatTokenizer
    special_tokens: SpecialTokens
    begin: tuple[int, ...]
    end: tuple[int, ...]
    _control: TokenTexts

    def plan(self, document: Document) -> Plan | Unfit:
        """What a document's ids are made of. Reasons why none can be: nothing_to_train, lone_surrogate, special_token_in_text."""
        if not document.text.strip():
            return Unfit("nothing_to_train", "an empty text")
        if not document.text.isascii() and SURROGATE.search(document.text):
            return Unfit("lone_surrogate", "the text holds half of a UTF-16 pair, which has no UTF-8 form")
        quoted = self.quoted(document)
        if self.special_tokens == "refuse" and (found := quoted or control_like(document.text)):
            return Unfit("special_token_in_text", f"the text holds {min(found)!r}")
        plan = Plan(frozenset(self.tokenizer.specials[text].id for text in quoted))
        plan.parts += [ready(_packed(self.begin), True), (Piece(document.text, first=True), True), ready(_packed(self.end), True)]
        return plan

    def quoted(self, document: Document) -> set[str]:
        """The control tokens of this tokenizer that a document's text holds: they stay text."""
        return set(self._control.named(document.text))

    def written(self, ids: tuple[int, ...]) -> str:
        """`begin` or `end` as text."""
        return self.tokenizer.decode(ids) if ids else ""


def document_plans(tokenizer: ChatTokenizer, special_tokens: SpecialTokens) -> DocumentPlans:
    """How this tokenizer's documents are made."""
    begin, end = tokenizer.around_text()
    eos = tokenizer.specials.get(tokenizer.variables.get("eos_token", ""))
    if eos is not None and eos.id not in end:
        end = [*end, eos.id]
    control = token_texts(text for text, special in tokenizer.specials.items() if special.control)
    return DocumentPlans(tokenizer, special_tokens, tuple(begin), tuple(end), control)


def stretches(length: int, longest: int) -> Iterator[tuple[int, int]]:
    """Where a text of `length` tokens is cut so that none has more than `longest`: full stretches, then the rest. A rest of one token, of
    which nothing could be learnt, takes a second one from the stretch before.

    >>> list(stretches(7, 4)), list(stretches(9, 4)), list(stretches(3, 4))
    ([(0, 4), (4, 7)], [(0, 4), (4, 7), (7, 9)], [(0, 3)])
    """
    borders = [*range(0, length, longest), length]
    if len(borders) > 2 and length - borders[-2] == 1 and longest > 2:
        borders[-2] -= 1
    yield from pairwise(borders)


@dataclass(frozen=True)
class CutText:
    """A document's ids cut into stretches, and the text of each, found out when the first of them is asked for."""

    document: Document
    plans: DocumentPlans
    ids: NDArray[np.int32]
    cuts: tuple[tuple[int, int], ...]

    def name(self, number: int) -> str:
        """What a stretch is called, counted from 0 here and from 1 there; the document's own id where it is whole."""
        return self.document.id if len(self.cuts) == 1 else f"{self.document.id}#{number + 1}"

    def text(self, number: int) -> str:
        """The part of the text that a stretch stands for; a character whose tokens lie in two stretches is in the first of them."""
        return self.document.text if len(self.cuts) == 1 else self.document.text[self._borders[number] : self._borders[number + 1]]

    @cached_property
    def _borders(self) -> list[int]:
        """Where each stretch begins in the text, sought near the end of the one before: half a character decodes to U+FFFD."""
        text, begin, at, borders = self.document.text, len(self.plans.begin), 0, []
        for start, end in self.cuts:
            words = self.plans.tokenizer.decode(self.ids[max(start, begin) : end].tolist()).strip("\ufffd")
            found = text.find(words, max(0, at - _DRIFT), at + len(words) + _DRIFT)
            borders.append(max(at, found))
            at = borders[-1] + len(words)
        return [0, *borders[1:], len(text)]


def _packed(ids: tuple[int, ...]) -> bytes:
    return b"".join(number.to_bytes(ID_BYTES, byteorder) for number in ids)
