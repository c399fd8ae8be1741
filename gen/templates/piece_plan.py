"""The parts of one conversation on their way to ids: pieces to encode and tokens that the template wrote, each trained or not.

Conversations of one shape have the same parts but for their words, so a Form holds what is the same and puts the words in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from sys import byteorder
from typing import NamedTuple

from gen.templates.loss_mask import MARKER
from gen.templates.tokenizer import Piece, Special

ID_BYTES = 4  # int32


class Ready(NamedTuple):
    """A part that needs no encoding: ids as int32, and a byte for each that is 1 where it is trained."""

    ids: bytes
    trained: bytes


Part = Ready | tuple[Piece, bool]  # else text to encode, and whether it is trained


def ready(ids: bytes, trained: bool) -> Ready:
    """Encoded ids, all of them trained or none."""
    return Ready(ids, (b"\1" if trained else b"\0") * (len(ids) // ID_BYTES))


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
        self.parts.append(ready(special.id.to_bytes(ID_BYTES, byteorder), trained))
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


_Mold = str | tuple[str | int, ...]  # texts, and the positions of messages whose words come in between


class _Molded(NamedTuple):
    """A piece that holds words of a message."""

    text: _Mold
    head: _Mold
    first: bool
    trained: bool


@dataclass(frozen=True, slots=True)
class Form:
    """The parts of every conversation of one shape."""

    _parts: tuple[Ready | _Molded, ...]

    def parts(self, contents: Sequence[str]) -> list[Part]:
        """The parts with the words of each message."""
        return [
            part
            if isinstance(part, Ready)
            else (Piece(_filled(part.text, contents), _filled(part.head, contents), part.first), part.trained)
            for part in self._parts
        ]


def form_of(parts: Sequence[Part], encode: Callable[[Sequence[Piece]], Sequence[bytes | None]]) -> Form | None:
    """The form of `parts` in which MARKER stands for words; the rest of it is encoded here, once. None where it cannot be by itself."""
    found: list[Ready | _Molded] = []
    for part in parts:
        if not isinstance(part, Ready) and (MARKER.search(part[0].text) or MARKER.search(part[0].head)):
            piece, trained = part
            found.append(_Molded(_mold(piece.text), _mold(piece.head), piece.first, trained))
            continue
        if not isinstance(part, Ready):
            (ids,) = encode([part[0]])
            if ids is None:
                return None
            part = ready(ids, part[1])
        if found and isinstance(before := found[-1], Ready):
            found[-1] = Ready(before.ids + part.ids, before.trained + part.trained)
        else:
            found.append(part)
    return Form(tuple(found))


def _mold(text: str) -> _Mold:
    parts = tuple(int(found) if place % 2 else found for place, found in enumerate(MARKER.split(text)) if found)
    return parts if any(isinstance(part, int) for part in parts) else text


def _filled(mold: _Mold, contents: Sequence[str]) -> str:
    return mold if isinstance(mold, str) else "".join([part if isinstance(part, str) else contents[part] for part in mold])
