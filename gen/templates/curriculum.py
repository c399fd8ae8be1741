"""The order of packed rows: shuffled, or from easy to hard (curriculum learning: Bengio et al. 2009), by what is known of their samples.

Packing puts samples of all kinds into one row, since only their lengths decide; a row is as long as its longest sample and as hard, or as
deep, as its samples are on average. Rows that are alike stay shuffled.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from gen.errors import InputError
from gen.packing import Rows
from gen.types import Sample

Order = Literal["shuffle", "length", "difficulty", "depth"]

_HOW = {
    "difficulty": "no sample has a difficulty: add the judge `tags` to the recipe (judges: [{name: tags, model: …}]) and run it again",
    "depth": "no sample has an evolution's depth: only the strategy evol_instruct notes it (as `round`)",
}


def level(sample: Sample, order: Order) -> float | None:
    """Where a sample stands in the order, higher is later; None where it does not say. A length is counted later, in tokens."""
    if order == "difficulty":
        named = sorted(name for name in sample.scores if name == "difficulty" or name.endswith(".difficulty"))
        return next((value for name in named if (value := sample.scores[name].value) is not None), None)
    if order == "depth":
        depth = sample.provenance.notes.get("round")
        return float(depth) if isinstance(depth, int | float) and not isinstance(depth, bool) else None
    return None


def ordered(rows: Rows, order: Order, lengths: Sequence[int], levels: Sequence[float | None]) -> Rows:
    """The rows from low to high; `levels` are those of the samples, of `lengths` in tokens. A sample without a difficulty stands where the
    others are on average, one that was not evolved before all that were.

    Raises InputError where no sample says what is asked for, with what would make them.
    """
    if order == "shuffle" or not len(rows):
        return rows
    if order == "length":
        keys = np.maximum.reduceat(np.asarray(lengths, np.float64)[rows.indices], rows.starts[:-1])
    else:
        keys = np.add.reduceat(_filled(order, levels)[rows.indices], rows.starts[:-1]) / np.diff(rows.starts)
    places = np.argsort(keys, kind="stable")
    sizes = np.diff(rows.starts)[places]
    starts = np.concatenate(([0], np.cumsum(sizes)))
    within = np.arange(starts[-1]) - np.repeat(starts[:-1], sizes)
    return Rows(rows.indices[np.repeat(rows.starts[:-1][places], sizes) + within], starts)


def _filled(order: Order, levels: Sequence[float | None]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    known = np.array([np.nan if one is None else one for one in levels], np.float64)
    missing = np.isnan(known)
    if missing.all():
        raise InputError(f"rows cannot be ordered by {order}: {_HOW[order]}")
    return np.where(missing, 0.0 if order == "depth" else known[~missing].mean(), known)
