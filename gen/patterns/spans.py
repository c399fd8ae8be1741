"""Marked stretches of a text: what the finders of personal data and secrets return, and how such stretches are replaced."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple


class Span(NamedTuple):
    """`text[start:end]` is of `kind`; offsets count characters."""

    start: int
    end: int
    kind: str


def disjoint(spans: Iterable[Span]) -> tuple[Span, ...]:
    """The spans in text order without overlaps: of two that overlap the earlier stays, of two that start together the longer.

    >>> disjoint([Span(4, 9, "phone"), Span(0, 6, "card_number"), Span(0, 3, "phone")])
    (Span(start=0, end=6, kind='card_number'),)
    """
    chosen: list[Span] = []
    for span in sorted(spans, key=lambda span: (span.start, -span.end)):
        if not chosen or span.start >= chosen[-1].end:
            chosen.append(span)
    return tuple(chosen)


def substitute(text: str, spans: Sequence[Span], stand_in: Callable[[str, str], str]) -> str:
    """`text` with every span replaced by `stand_in(kind, value)`; the spans must be disjoint and in order."""
    pieces: list[str] = []
    position = 0
    for start, end, kind in spans:
        pieces += (text[position:start], stand_in(kind, text[start:end]))
        position = end
    return "".join((*pieces, text[position:]))
