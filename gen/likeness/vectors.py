"""Vectors of texts seen so far, to be asked for those most like a new one: exact cosines over 8-bit numbers, the same on every machine.

A vector is kept as whole numbers from -127 to 127 of its direction (Guo et al. 2020 and every vector database do so; the cosine moves by
less than .002). Whole numbers have no rounding, so no library, processor or order of sums changes a verdict. Before them stands a sieve:
256 bits, each the side of a random plane on which the vector lies (Charikar 2002). Two vectors at an angle of θ differ in a share of θ/π
of their bits; those that differ in four standard deviations more than the threshold allows are not looked at.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from gen.errors import InputError

_BLOCK = 8192  # vectors; memory grows by a block and nothing is ever copied
_BITS, _WORDS = 256, 4
_DEVIATIONS = 4.0  # a true neighbour fails the sieve once in 30,000 times at the very threshold, and hardly ever above it
_MOST = 127

Codes = NDArray[np.int8]
Sketch = NDArray[np.uint64]


def encoded(vector: Sequence[float]) -> Codes:
    """The direction of a vector as 8-bit whole numbers. Raises InputError for one without a direction: empty, zero or not finite.

    >>> encoded([0.0, 0.5, -1.0]).tolist()
    [0, 64, -127]
    """
    values = np.asarray(vector, np.float64)
    longest = float(np.abs(values).max()) if values.ndim == 1 and len(values) else 0.0
    if not 0 < longest < math.inf:
        raise InputError("a text's vector has no direction: an embedding model's must be finite numbers, not all of them 0")
    return np.rint(values / longest * _MOST).astype(np.int8)


class Vectors:
    """Vectors of one length. Positions count from 0 in the order of `add`; each has a label (64 bits, signed), and only vectors of the
    label asked for are compared. Memory: a byte per dimension and 40 more for each vector."""

    def __init__(self) -> None:
        self.dimensions = 0
        self._length = 0
        self._codes: list[Codes] = []
        self._sketches: list[Sketch] = []
        self._labels: list[NDArray[np.int64]] = []

    def __len__(self) -> int:
        return self._length

    @property
    def nbytes(self) -> int:
        """Bytes held by the arrays."""
        return sum(part.nbytes for parts in (self._codes, self._sketches, self._labels) for part in parts)

    def add(self, codes: Codes, label: int = 0) -> int:
        """Remember a vector and return its position. Raises InputError when its length is not that of the first."""
        self._check(codes)
        self.dimensions = len(codes)
        block, row = divmod(self._length, _BLOCK)
        if block == len(self._codes):
            self._codes.append(np.zeros((_BLOCK, len(codes)), np.int8))
            self._sketches.append(np.zeros((_WORDS, _BLOCK), np.uint64))
            self._labels.append(np.zeros(_BLOCK, np.int64))
        self._codes[block][row] = codes
        self._sketches[block][:, row] = _sketch(codes)
        self._labels[block][row] = label
        self._length += 1
        return self._length - 1

    def alike(self, codes: Codes, at_least: float, label: int = 0, *, most: int) -> list[tuple[int, float]]:
        """Positions of the label's vectors whose cosine is `at_least`, with the cosine, the most alike first and the earliest of equals; no
        more than `most` of them. Raises InputError when the vector's length is not that of those seen."""
        self._check(codes)
        wanted, differing = codes.astype(np.int64), _most_different(at_least)
        sketch, length = _sketch(codes), float(wanted @ wanted)
        found: list[tuple[int, float]] = []
        for number, (kept, sketches, labels) in enumerate(zip(self._codes, self._sketches, self._labels, strict=True)):
            filled = min(_BLOCK, self._length - number * _BLOCK)
            rows = np.flatnonzero((labels[:filled] == label) & (_differing(sketches[:, :filled], sketch) <= differing))
            if len(rows):
                others = kept[rows].astype(np.int64)
                cosines = (others @ wanted) / np.sqrt((others * others).sum(axis=1) * length)
                near = np.flatnonzero(cosines >= at_least)
                found += zip((rows[near] + number * _BLOCK).tolist(), cosines[near].tolist(), strict=True)
        return sorted(found, key=lambda one: (-one[1], one[0]))[:most]

    def _check(self, codes: Codes) -> None:
        if self.dimensions and len(codes) != self.dimensions:
            raise InputError(f"a vector of {len(codes)} numbers among vectors of {self.dimensions}: one model must make them all")


def _most_different(cosine: float) -> int:
    """In how many of the sketch's bits two vectors of this cosine may differ."""
    share = math.acos(max(-1.0, min(1.0, cosine))) / math.pi
    return math.ceil(_BITS * share + _DEVIATIONS * math.sqrt(_BITS * share * (1 - share)))


def _differing(sketches: Sketch, sketch: Sketch) -> NDArray[np.uint8]:
    """In how many bits each sketch differs; all 256 count as 255."""
    first, second, third, last = (np.bitwise_count(word ^ own) for word, own in zip(sketches, sketch, strict=True))
    first += second
    first += third
    return np.asarray(first + np.minimum(last, 63), np.uint8)


def _sketch(codes: Codes) -> Sketch:
    """On which side of 256 planes the vector lies, as four words of 64 bits. Sums of whole numbers in floats: exact, and so everywhere
    the same."""
    sides = codes.astype(np.float64) @ _planes(len(codes)) > 0
    return np.packbits(sides).view(np.uint64)


@lru_cache(maxsize=2)
def _planes(dimensions: int) -> NDArray[np.float64]:
    """The planes' normals (dimensions × 256), whole numbers out of a hash function: the same on every machine and with every numpy."""
    drawn = hashlib.shake_256(b"planes").digest(dimensions * _BITS)
    return np.frombuffer(drawn, np.int8).reshape(dimensions, _BITS).astype(np.float64) + 0.5
