"""What training data shares with a file that it must not touch: a test set or a benchmark of the user's own."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from gen.errors import InputError
from gen.likeness.minhash import near_duplicates
from gen.records import Unreadable, read_records
from gen.turns import part

ALIKE = 0.7  # Jaccard similarity of content words from which two prompts are one family, as in every split of Sluice


@dataclass(frozen=True, slots=True)
class Held:
    """A file to check against: (place, prompt) of its records, and how many of its lines could not be read."""

    file: str
    prompts: tuple[tuple[str, str], ...]
    unreadable: int


@dataclass(frozen=True, slots=True)
class Touch:
    """The prompt at position `at` of those asked about is nearly the one at `place` of the file."""

    at: int
    place: str
    similarity: float


def read_held(path: Path) -> Held:
    """The prompts of a dataset of any layout and container; of a text without turns, the text.

    Raises InputError when it cannot be read or holds none.
    """
    prompts, unreadable = [], 0
    for record in read_records(path):
        if isinstance(record, Unreadable):
            unreadable += 1
        elif text := part(record.sample, "both" if record.is_text else "instruction"):
            prompts.append((f"line {record.line}", text))
    if not prompts:
        raise InputError(f"{path.name} holds no prompt to check against ({unreadable} unreadable lines)")
    return Held(path.name, tuple(prompts), unreadable)


def touching(held: Held, prompts: Iterable[str]) -> list[Touch]:
    """The prompts that are nearly one of the file's, each with the most alike of them."""
    edge = len(held.prompts)
    found = _across(chain((text for _, text in held.prompts), prompts), edge)
    return [Touch(at, held.prompts[other][0], similarity) for other, at, similarity in found]


def _across(texts: Iterable[str], edge: int) -> list[tuple[int, int, float]]:
    """(place before the edge, place after it counted from the edge, similarity) of near-duplicates, the best one of each latter place."""
    copies: dict[int, list[int]] = defaultdict(list)
    best: dict[int, tuple[float, int]] = {}
    for left, right, similarity in near_duplicates(texts, ALIKE):
        low, high = sorted((left, right))
        if similarity == 1.0:
            copies[low].append(high)
        if low < edge <= high and similarity > best.get(high, (0.0, 0))[0]:
            best[high] = (similarity, low)
    for first, others in copies.items():  # a copy is paired with the first of its kind alone
        if first in best:
            best.update({other: best[first] for other in others if other not in best})
    return [(other, place - edge, similarity) for place, (similarity, other) in sorted(best.items())]
