"""The parts of one conversation on their way to ids: pieces to encode and tokens that the template wrote, each trained or not.

Conversations of one shape have the same parts but for their words, so a Form holds what is the same and puts the words in.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from gen.templates.loss_mask import MARKER
from gen.templates.tokenizer import Piece, Special

Part = tuple[Piece | int, bool]  # text to encode or a token's id, and whether it is trained


@dataclass(slots=True)
class Plan:
    """Parts of one sample. `section` is the text since the last token; `quoted` are control tokens that the messages name, whose ids no
    piece may hold."""

    quoted: frozenset[int]
    parts: list[Part] = field(default_factory=list)
    section: list[tuple[str, bool]] = field(default_factory=list)
    strips: bool = False

    def text(self, text: str, *, trained: bool = False, apart: bool = False) -> None:
        """Add text; `apart` begins a piece of its own even if the mask does not change."""
        if self.section and self.section[-1][1] == trained and not apart:
            self.section[-1] = (self.section[-1][0] + text, trained)
        elif text:
            self.section.append((text, trained))

    def token(self, special: Special, *, trained: bool = False) -> None:
        """Add a token that the template wrote."""
        self.flush(strip=special.strips_left)
        self.parts.append((special.id, trained))
        self.strips = special.strips_right

    def flush(self, *, strip: bool = False) -> None:
        """Turn the section into pieces; white space that the tokens around it swallow is gone."""
        if self.section and self.strips:
            self.section[0] = (self.section[0][0].lstrip(), self.section[0][1])
        if self.section and strip:
            self.section[-1] = (self.section[-1][0].rstrip(), self.section[-1][1])
        head, first = "", not self.parts
        for text, trained in self.section:
            if text:
                self.parts.append((Piece(text, head, first), trained))
                head += text
        self.section.clear()


_Mold = tuple[str | int, ...]  # texts, and the positions of messages whose words come in between


@dataclass(frozen=True, slots=True)
class Form:
    """The parts of every conversation of one shape."""

    _parts: tuple[tuple[Part | None, _Mold, _Mold, bool, bool], ...]  # a part that is always the same; else text, head, first, trained

    @classmethod
    def of(cls, parts: Iterable[Part]) -> Form:
        """The form of `parts` in which MARKER stands for words."""
        return cls(tuple(_molded(part, trained) for part, trained in parts))

    def parts(self, contents: Sequence[str]) -> list[Part]:
        """The parts with the words of each message."""
        return [
            constant or (Piece(_filled(text, contents), _filled(head, contents), first), trained)
            for constant, text, head, first, trained in self._parts
        ]


def _molded(part: Piece | int, trained: bool) -> tuple[Part | None, _Mold, _Mold, bool, bool]:
    if isinstance(part, int) or not (MARKER.search(part.text) or MARKER.search(part.head)):
        return (part, trained), (), (), False, trained
    return None, _mold(part.text), _mold(part.head), part.first, trained


def _mold(text: str) -> _Mold:
    return tuple(int(found) if place % 2 else found for place, found in enumerate(MARKER.split(text)) if found)


def _filled(mold: _Mold, contents: Sequence[str]) -> str:
    return "".join([part if isinstance(part, str) else contents[part] for part in mold])
