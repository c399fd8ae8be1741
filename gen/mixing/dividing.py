"""Split a mix before anything is repeated, and find what lies on two sides of it or in a file that it must not touch."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from gen.errors import InputError
from gen.likeness.minhash import families, near_duplicates
from gen.mixing.file import MixFile
from gen.mixing.reading import Item, prompts_of
from gen.records import Unreadable
from gen.splits import BY_FAMILY, Assignment, assign, leaks
from gen.turns import part

ALIKE = 0.7  # Jaccard similarity of content words from which two prompts are one family, as in every split of Sluice


@dataclass(frozen=True, slots=True)
class Pair:
    """Two records that must not lie where they do. `kind`: same_prompt, near_duplicate or the name of the field they share;
    `similarity` of their prompts where it was measured."""

    kind: str
    left: str
    left_in: str
    right: str
    right_in: str
    similarity: float | None = None


@dataclass(frozen=True, slots=True)
class Against:
    """A file checked: how many prompts it has, how many of its lines could not be read, and what the mix shares with it."""

    file: str
    prompts: int
    unreadable: int
    pairs: tuple[Pair, ...]


def divide(mix: MixFile, items: Sequence[Item]) -> tuple[Assignment, list[Pair]]:
    """A split for every item, and the pairs that are pinned to different splits though they belong together.

    Raises RecipeError when the split cannot be made as asked.
    """
    _check_possible(mix, items)
    samples = [item.sample for item in items]
    pinned = {item.sample.id: item.pinned for item in items if item.pinned}
    components = families([part(sample, "instruction") for sample in samples], ALIKE)
    config = mix.config.split
    assigned = assign(samples, config.ratios, by=config.by, seed=mix.config.seed, families=components, locked=pinned)
    found = [_pair(leak.kind, leak.ids, pinned) for leak in leaks(samples, pinned, components)]
    found += [_pair(leak.kind, leak.ids, assigned.of) for leak in leaks(samples, assigned.of, components)]
    once = {(pair.left, pair.right): pair for pair in reversed(found)}  # a pair with the same prompt is nearly the same as well
    return assigned, list(reversed(once.values())) or _moved(config.by, items, assigned.of)


def check_against(mix: MixFile, file: str, items: Iterable[Item], split: Mapping[str, str]) -> Against:
    """What the training and validation splits share with a file of the user's own.

    Raises RecipeError with the line of `against` when the file cannot be read or holds no prompt.
    """
    held: list[tuple[str, str]] = []
    unreadable = 0
    path = mix.folder / file
    try:
        for record in prompts_of(path):
            if isinstance(record, Unreadable):
                unreadable += 1
            elif text := part(record.sample, "instruction"):
                held.append((f"line {record.line}", text))
    except InputError as error:
        raise mix.error(("against",), error) from error
    if not held:
        raise mix.error(("against",), f"{file} holds no prompt to check against ({unreadable} unreadable lines)")
    learnt = [item.sample for item in items if split[item.sample.id] != "test"]
    texts = chain((text for _, text in held), (part(sample, "instruction") for sample in learnt))
    found = _across(texts, len(held))
    pairs = [
        Pair("near_duplicate", learnt[place].id, split[learnt[place].id], held[other][0], Path(file).name, similarity)
        for other, place, similarity in found
    ]
    return Against(file, len(held), unreadable, tuple(pairs))


def _check_possible(mix: MixFile, items: Sequence[Item]) -> None:
    by, ratios = mix.config.split.by, mix.config.split.ratios
    for split in sorted({item.pinned for item in items if item.pinned} - set(ratios)):
        held = next(item.dataset for item in items if item.pinned == split)
        problem = f"the dataset '{held}' has records that must stay in {split}: give it a ratio above 0, or say 'split: anew' there"
        raise mix.error(("split", split), problem)
    if by != BY_FAMILY and not any(by in item.sample.provenance.notes for item in items):
        raise mix.error(("split", "by"), f"no record has a field '{by}' with a text or number in it: leave it out to split by family")


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


def _pair(kind: str, ids: Sequence[str], splits: Mapping[str, str]) -> Pair:
    """The first two members of a group that lie in different splits."""
    placed = [name for name in ids if name in splits]
    left = placed[0]
    right = next(name for name in placed if splits[name] != splits[left])
    return Pair(kind, left, splits[left], right, splits[right])


def _moved(by: str, items: Sequence[Item], split: Mapping[str, str]) -> list[Pair]:
    """Pinned items that a shared field would pull out of their split, each with one that pulls it."""
    first: dict[str, str] = {}
    for item in items:
        if item.pinned == split[item.sample.id]:
            first.setdefault(item.pinned, item.sample.id)
    moved = [item for item in items if item.pinned and item.pinned != split[item.sample.id]]
    return [
        Pair(by, item.sample.id, item.pinned, first[split[item.sample.id]], split[item.sample.id])
        for item in moved
        if split[item.sample.id] in first
    ]
