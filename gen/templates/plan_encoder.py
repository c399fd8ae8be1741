"""Encode planned items batch by batch: what is to be encoded is known from each item's plan, and the next batch is planned meanwhile.

Encoding runs outside Python, on every core. Pieces that many items share (headers, system prompts) are encoded once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from typing import Generic, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from gen.templates.chat_template import Unfit
from gen.templates.piece_encoder import PieceEncoder
from gen.templates.piece_plan import Plan, Ready, ready
from gen.templates.tokenizer import Piece

Item = TypeVar("Item")

_SAMPLES, _CHARACTERS = 256, 1 << 21  # encoded at once: enough to keep every core busy, and no more than memory takes
_KEPT_PIECES = 8192  # encoded headers and system prompts remembered, of at most _KEPT_CHARS each
_KEPT_CHARS = 4000
_ITS_OWN_TOKEN = "the tokenizer makes a control token of a message's text even where that is switched off"


@dataclass(frozen=True, slots=True)
class Encoded:
    """A sample as a trainer sees it: `ids` (int32) and, of the same length, which of them are trained (bool)."""

    ids: NDArray[np.int32]
    trained: NDArray[np.bool_]


class _Batch(NamedTuple, Generic[Item]):
    """Items under way: their plans, the pieces that are new, those of them worth remembering, and the ids to come."""

    items: list[Item]
    plans: list[Plan | Unfit]
    new: list[Piece]
    repeated: list[Piece]
    coming: Future[list[bytes | None]]


@dataclass(frozen=True, slots=True)
class PlanEncoder:
    """Plans into ids, with the tokenizer that `pieces` has."""

    pieces: PieceEncoder
    _known: dict[Piece, bytes | None] = field(default_factory=dict, repr=False, compare=False)

    def encode(
        self, items: Iterable[Item], plan: Callable[[Item], Plan | Unfit], size: Callable[[Item], int]
    ) -> Iterator[tuple[Item, Encoded | Unfit]]:
        """Each item with what became of it, in order, any number of them; `size` is an item's length in characters."""
        source = iter(items)
        waiting: _Batch[Item] | None = None
        with ThreadPoolExecutor(1) as encoder:
            while waiting or (waiting := self._batch(source, plan, size, encoder)):
                following = self._batch(source, plan, size, encoder)
                yield from self._finished(waiting)
                waiting = following

    def _batch(
        self, source: Iterator[Item], plan: Callable[[Item], Plan | Unfit], size: Callable[[Item], int], encoder: ThreadPoolExecutor
    ) -> _Batch[Item] | None:
        items = list(_some(source, size))
        if not items:
            return None
        plans = [plan(item) for item in items]
        uses = Counter([part[0] for one in plans if isinstance(one, Plan) for part in one.parts if not isinstance(part, Ready)])
        new = [piece for piece in uses if piece not in self._known]
        repeated = [piece for piece in new if uses[piece] > 1 and len(piece.text) <= _KEPT_CHARS]
        return _Batch(items, plans, new, repeated, encoder.submit(self.pieces.encode, new))

    def _finished(self, batch: _Batch[Item]) -> Iterator[tuple[Item, Encoded | Unfit]]:
        ids = dict(zip(batch.new, batch.coming.result(), strict=True))
        self._known.update((piece, ids[piece]) for piece in batch.repeated[: _KEPT_PIECES - len(self._known)])
        for item, plan in zip(batch.items, batch.plans, strict=True):
            yield item, plan if isinstance(plan, Unfit) else _joined(plan, ids, self._known)


def _some(source: Iterator[Item], size: Callable[[Item], int]) -> Iterator[Item]:
    """The next items, as many as are worth encoding at once."""
    characters = 0
    for item in islice(source, _SAMPLES):
        yield item
        characters += size(item)
        if characters >= _CHARACTERS:
            return


def _joined(plan: Plan, fresh: Mapping[Piece, bytes | None], known: Mapping[Piece, bytes | None]) -> Encoded | Unfit:
    numbers: list[bytes] = []
    trained: list[bytes] = []
    for part in plan.parts:
        if not isinstance(part, Ready):
            piece, flag = part
            found = fresh[piece] if piece in fresh else known[piece]
            if found is None:
                return Unfit("boundary_merges", "the tokenizer makes one token of a header's end and an answer's beginning")
            if plan.quoted and not plan.quoted.isdisjoint(memoryview(found).cast("i")):
                return Unfit("special_token_in_text", _ITS_OWN_TOKEN)
            part = ready(found, flag)
        numbers.append(part.ids)
        trained.append(part.trained)
    return Encoded(np.frombuffer(b"".join(numbers), np.int32), np.frombuffer(b"".join(trained), np.bool_))
