"""Families of near-duplicate prompts over all files: what repeats within one, and what lies in two and so leaks."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gen.audit.survey import Survey
from gen.audit.targets import Place
from gen.likeness.minhash import near_duplicates

ALIKE = 0.7  # Jaccard similarity of content words, as in the gate near_dup and in every split of Sluice
_LARGEST = 5
_LEAKS_KEPT = 100
_MEMBERS_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Family:
    """Records with nearly one prompt, the first few by place."""

    size: int
    places: tuple[Place, ...]


@dataclass(frozen=True, slots=True)
class Leak:
    """A record and one of another file that asks nearly the same."""

    held: Place
    learnt: Place


@dataclass(frozen=True, slots=True)
class Duplicates:
    """`near` counts records whose prompt is nearly that of an earlier one in the same file; `places` are the first of them. `leaking`
    counts, for two files by number, the records of the second that have a relative in the first; `leaks` names the first of each family."""

    near: int
    places: tuple[Place, ...]
    sizes: tuple[tuple[int, int], ...]
    largest: tuple[Family, ...]
    leaking: tuple[tuple[int, int, int], ...]
    leaks: tuple[Leak, ...]
    leaking_families: int


def find_duplicates(prompts: Iterable[str], survey: Survey) -> Duplicates:
    """Near-duplicates among the prompts, which fill the survey as they are read."""
    parents = array("I")  # of prompts that are like another; those beyond its end, and most in it, are their own
    for left, right, _ in near_duplicates(prompts, ALIKE):
        parents.extend(range(len(parents), max(left, right) + 1))
        low, high = sorted((_root(parents, left), _root(parents, right)))
        parents[high] = low
    families = sorted(_families(parents), key=lambda members: (-len(members), members[0]))
    sizes, leaking, leaks = Counter[int](), Counter[tuple[int, int]](), list[Leak]()
    repeated = array("I")
    for members in families:
        positions = [survey.prompted[at] for at in members]
        sizes[len(positions)] += 1
        repeated.extend(_after_the_first(positions, survey))
        files = Counter(survey.target_of[at] for at in positions)
        leaking.update({(one, other): count for other, count in files.items() for one in files if one < other})
        if len(files) > 1:
            held = next(at for at in positions if survey.target_of[at] != survey.target_of[positions[0]])
            leaks.append(Leak(survey.place(held), survey.place(positions[0])))
    return Duplicates(
        near=len(repeated),
        places=tuple(survey.place(at) for at in sorted(repeated)[:_LEAKS_KEPT]),
        sizes=tuple(sorted(sizes.items())),
        largest=tuple(_shown(members, survey) for members in families[:_LARGEST]),
        leaking=tuple((one, other, count) for (one, other), count in sorted(leaking.items())),
        leaks=tuple(sorted(leaks, key=lambda leak: leak.held)[:_LEAKS_KEPT]),
        leaking_families=len(leaks),
    )


def _families(parents: array[int]) -> Iterator[NDArray[np.int64]]:
    """The positions of each family of more than one, in rising order."""
    if not parents:
        return
    roots = np.fromiter((_root(parents, at) for at in range(len(parents))), np.int64, len(parents))
    order = np.argsort(roots, kind="stable")
    starts = np.flatnonzero(np.diff(roots[order], prepend=-1))
    for first, last in zip(starts, np.append(starts[1:], len(order)), strict=True):
        if last - first > 1:
            yield order[first:last]


def _shown(members: NDArray[np.int64], survey: Survey) -> Family:
    return Family(len(members), tuple(survey.place(survey.prompted[at]) for at in members[:_MEMBERS_SHOWN]))


def _after_the_first(positions: Sequence[int], survey: Survey) -> Iterator[int]:
    """All but the first of each file. In a KTO file an unwanted answer to a prompt does not repeat a wanted one."""
    seen: set[tuple[int, int]] = set()
    for at in positions:
        place = survey.target_of[at], survey.unwanted[at]
        if place in seen:
            yield at
        seen.add(place)


def _root(parents: array[int], node: int) -> int:
    while node < len(parents) and parents[node] != node:
        parents[node] = parents[parents[node]]
        node = parents[node]
    return node
