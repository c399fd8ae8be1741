"""Families of near-duplicate prompts over all files: what repeats within one, and what lies in two and so leaks."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

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
    roots: dict[int, int] = {}
    for left, right, _ in near_duplicates(prompts, ALIKE):
        low, high = sorted((_root(roots, left), _root(roots, right)))
        roots[high] = low
    members: defaultdict[int, list[int]] = defaultdict(list)
    for at in sorted({*roots, *roots.values()}):
        members[_root(roots, at)].append(at)
    families = [[survey.place(survey.prompted[at]) for at in sorted(ones)] for ones in members.values()]
    families.sort(key=lambda places: (-len(places), places[0]))
    repeated = [place for places in families for place in _after_the_first(places)]
    leaking: Counter[tuple[int, int]] = Counter()
    leaks = []
    for places in families:
        files = Counter(place.target for place in places)
        leaking.update({(one, other): count for other, count in files.items() for one in files if one < other})
        if len(files) > 1:
            first = min(places)
            leaks.append(Leak(next(place for place in sorted(places) if place.target != first.target), first))
    return Duplicates(
        near=len(repeated),
        places=tuple(sorted(repeated)[:_LEAKS_KEPT]),
        sizes=tuple(sorted(Counter(len(places) for places in families).items())),
        largest=tuple(Family(len(places), tuple(places[:_MEMBERS_SHOWN])) for places in families[:_LARGEST]),
        leaking=tuple((one, other, count) for (one, other), count in sorted(leaking.items())),
        leaks=tuple(sorted(leaks, key=lambda leak: leak.held)[:_LEAKS_KEPT]),
        leaking_families=len(leaks),
    )


def _after_the_first(places: list[Place]) -> list[Place]:
    """All but the first of each file."""
    seen: set[int] = set()
    later = []
    for place in places:
        if place.target in seen:
            later.append(place)
        seen.add(place.target)
    return later


def _root(roots: dict[int, int], node: int) -> int:
    while node in roots and roots[node] != node:
        roots[node] = roots.get(roots[node], roots[node])
        node = roots[node]
    return node
