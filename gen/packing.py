"""Pack sequences of bounded integer length into as few rows as can be: best-fit decreasing, on groups of equal rows at once.

Best-fit decreasing takes the longest sequence first and puts it into the row whose free space is the smallest that still holds it.
One sequence at a time that is n searches. But lengths are whole numbers up to `max_length`, so rows with the same free space r are
interchangeable: if r is the smallest free space that holds s, one such row takes floor(r / s) sequences of length s in a run, since
after each the same row is again the tightest fit. So a whole group of rows is filled in one array operation, and the work grows
with the number of different lengths, not of sequences; the free spaces in use are the bits of one integer. The rows are as
full as those of the plain algorithm; which of two equally full rows takes a sequence is a tie that both may break their own way.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]

_RADIX = 1 << 16  # numpy's stable sort of 16-bit integers is a radix sort, linear in n


@dataclass(frozen=True, slots=True)
class Rows(Sequence[Indices]):
    """Which sequences share a row: row i holds `indices[starts[i]:starts[i + 1]]`, positions in the lengths given; longest first."""

    indices: Indices
    starts: Indices

    def __len__(self) -> int:
        return len(self.starts) - 1

    def __getitem__(self, row: Any) -> Any:
        if isinstance(row, slice):
            return [self[position] for position in range(*row.indices(len(self)))]
        position = row + len(self) if row < 0 else row
        if not 0 <= position < len(self):
            raise IndexError(f"row {row} of {len(self)}")
        return self.indices[self.starts[position] : self.starts[position + 1]]

    def __iter__(self) -> Iterator[Indices]:
        return (self.indices[start:end] for start, end in zip(self.starts[:-1], self.starts[1:], strict=True))


def pack_lengths(lengths: Sequence[int] | NDArray[Any], max_length: int, *, shuffle_seed: int | None = None) -> Rows:
    """Assign every sequence to one row of at most `max_length`, as exact best-fit decreasing does.

    The same lengths give the same rows on every machine. Best-fit decreasing leaves the rows sorted by their longest sequence;
    `shuffle_seed` puts whole rows into a random order, which a trainer that does not shuffle needs.

    Raises ValueError for a length below 1 or above `max_length`, naming its position.

    >>> [row.tolist() for row in pack_lengths([3, 5, 2, 4], 7)]
    [[1, 2], [3, 0]]
    """
    sizes = _checked(lengths, max_length)
    if not len(sizes):
        return Rows(np.zeros(0, np.int64), np.zeros(1, np.int64))
    by_length = _stable_order(max_length - sizes)  # longest first, equal lengths in the order given
    counts = np.bincount(sizes)
    row_of, rows = _best_fit(counts, len(sizes), max_length)
    row_of = row_of if shuffle_seed is None else _shuffled(rows, shuffle_seed)[row_of]
    indices = by_length[_stable_order(row_of)]
    starts = np.zeros(rows + 1, np.int64)
    np.cumsum(np.bincount(row_of, minlength=rows), out=starts[1:])
    return Rows(indices, starts)


def lower_bound(lengths: Sequence[int] | NDArray[Any], max_length: int) -> int:
    """No packing has fewer rows: all tokens over `max_length`, or the sequences longer than half a row, whichever is more.

    >>> lower_bound([3, 5, 2, 4], 7)
    2
    """
    sizes = _checked(lengths, max_length)
    return max(-(-int(sizes.sum()) // max_length), int(np.count_nonzero(2 * sizes > max_length)))


def efficiency(tokens: int, rows: int, max_length: int) -> float:
    """The share of `rows` × `max_length` positions that hold a token; 0.0 for no rows."""
    return tokens / (rows * max_length) if rows else 0.0


def _checked(lengths: Sequence[int] | NDArray[Any], max_length: int) -> Indices:
    if max_length < 1:
        raise ValueError(f"max_length is {max_length}: a row must hold at least 1 token")
    sizes = np.asarray(lengths)
    if sizes.ndim != 1 or (len(sizes) and sizes.dtype.kind not in "iu"):
        raise ValueError(f"lengths must be one row of whole numbers, got {sizes.ndim} dimensions of {sizes.dtype}")
    wrong = np.flatnonzero((sizes < 1) | (sizes > max_length))
    if len(wrong):
        raise ValueError(f"length {sizes[wrong[0]]} at position {wrong[0]} is outside 1 to {max_length}")
    return sizes.astype(np.int64)


def _best_fit(counts: Indices, sequences: int, max_length: int) -> tuple[Indices, int]:
    """The row of each sequence, longest first, and the number of rows. `counts[s]` is how many sequences have length s."""
    row_of = np.empty(sequences, np.int64)
    groups: dict[int, list[Indices]] = {}  # free space → rows that have it, in chunks
    in_use = 0  # bit r is set where groups[r] has rows
    rows = done = 0
    for size in np.flatnonzero(counts)[::-1].tolist():
        left = int(counts[size])
        while left:
            fits = in_use >> size
            free = size + (fits & -fits).bit_length() - 1 if fits else max_length
            each = free // size
            wanted = -(-left // each)
            if fits:
                taken, empty = _take(groups[free], wanted)
                in_use ^= (1 << free) if empty else 0
            else:
                taken = np.arange(rows, rows + wanted, dtype=np.int64)
                rows += wanted
            placed = min(left, each * len(taken))
            row_of[done : done + placed] = np.repeat(taken, each)[:placed]
            full, rest = divmod(placed, each)
            for part, space in ((taken[:full], free - each * size), (taken[full:], free - rest * size)):
                if len(part) and space:
                    groups.setdefault(space, []).append(part)
                    in_use |= 1 << space
            done, left = done + placed, left - placed
    return row_of, rows


def _take(chunks: list[Indices], wanted: int) -> tuple[Indices, bool]:
    """Up to `wanted` rows out of `chunks`, oldest chunk first, and whether none is left."""
    taken: list[Indices] = []
    used = 0
    for chunk in chunks:
        if wanted <= 0:
            break
        taken.append(chunk[:wanted])
        used += len(chunk) <= wanted
        wanted -= len(chunk)
    rest = chunks[len(taken) - 1][len(taken[-1]) :] if used < len(taken) else None
    chunks[: len(taken)] = [] if rest is None else [rest]
    return (taken[0] if len(taken) == 1 else np.concatenate(taken)), not chunks


def _stable_order(values: Indices) -> Indices:
    """`argsort(kind="stable")` of whole numbers from 0 on, by 16 bits at a time."""
    order = np.argsort((values & (_RADIX - 1)).astype(np.uint16), kind="stable")
    shift = 16
    while int(values.max()) >> shift:
        digits = ((values[order] >> shift) & (_RADIX - 1)).astype(np.uint16)
        order = order[np.argsort(digits, kind="stable")]
        shift += 16
    return order


def _shuffled(rows: int, seed: int) -> Indices:
    """A permutation of range(rows) from `seed`, by SplitMix64 (Steele et al., 2014): the same with every version of numpy."""
    state = np.arange(1, rows + 1, dtype=np.uint64) + np.uint64(seed * 0xD1342543DE82EF95 % (1 << 64))
    mixed = state * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.argsort(mixed ^ (mixed >> np.uint64(31)), kind="stable")
