"""Split a mix before anything is repeated, and find what lies on two sides of it or in a file that it must not touch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from gen.against import ALIKE, read_held, touching
from gen.errors import InputError
from gen.likeness.minhash import families
from gen.mixing.file import MixFile
from gen.mixing.reading import Item
from gen.splits import BY_FAMILY, Assignment, assign, leaks
from gen.turns import part


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
    try:
        held = read_held(mix.folder / file)
    except InputError as error:
        raise mix.error(("against",), error) from error
    learnt = [item.sample for item in items if split[item.sample.id] != "test"]
    pairs = [
        Pair("near_duplicate", learnt[touch.at].id, split[learnt[touch.at].id], touch.place, held.file, touch.similarity)
        for touch in touching(held, (part(sample, "instruction") for sample in learnt))
    ]
    return Against(file, len(held.prompts), held.unreadable, tuple(pairs))


def _check_possible(mix: MixFile, items: Sequence[Item]) -> None:
    by, ratios = mix.config.split.by, mix.config.split.ratios
    for split in sorted({item.pinned for item in items if item.pinned} - set(ratios)):
        held = next(item.dataset for item in items if item.pinned == split)
        problem = f"the dataset '{held}' has records that must stay in {split}: give it a ratio above 0, or say 'split: anew' there"
        raise mix.error(("split", split), problem)
    if by != BY_FAMILY and not any(by in item.sample.provenance.notes for item in items):
        raise mix.error(("split", "by"), f"no record has a field '{by}' with a text or number in it: leave it out to split by family")


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
