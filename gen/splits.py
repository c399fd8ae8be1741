"""Divide samples into splits so that nothing of a test set is in the training set under another name.

What must stay together is a *unit*: one lineage (samples that descend from each other or from the same rejected parent), samples with the
same prompt, one near-duplicate component where the caller names them, and everything of one topic (or of another field) when asked for.
Units go to splits by a hash of the seed, the split and the unit's name, so a run that grows keeps nearly all of its assignment, and what
once was in a locked split never leaves it.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite

from gen.apportion import largest_remainder
from gen.errors import RecipeError
from gen.folding import fold
from gen.types import Preference, Sample, thaw

BY_FAMILY, BY_LINEAGE, BY_TOPIC = "family", "lineage", "topic"
LOCKED_SPLIT = "test"
_FIELDS = ("topic", "strategy", "model", "seeds", "prompts")


@dataclass(frozen=True, slots=True)
class Assignment:
    """`of` gives each sample id its split; `counts` and `achieved` (shares of all samples) are for printing; `units` counts what was
    kept together; `empty` are splits asked for that stayed empty because there were too few units."""

    of: Mapping[str, str]
    counts: Mapping[str, int]
    achieved: Mapping[str, float]
    units: int
    empty: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Leak:
    """Two or more samples that belong together and lie in different splits. `kind`: same_prompt, lineage, near_duplicate."""

    kind: str
    ids: tuple[str, ...]
    splits: tuple[str, ...]


def assign(
    samples: Sequence[Sample],
    ratios: Mapping[str, float],
    *,
    by: str = BY_FAMILY,
    seed: int = 0,
    families: Sequence[int] | None = None,
    locked: Mapping[str, str] | None = None,
) -> Assignment:
    """A split for every sample.

    `ratios` are relative (0.8, 0.1, 0.1 or 8, 1, 1); splits of ratio 0 stay empty. `by` is family, lineage (near-duplicate components are
    then left out), topic, another field of the provenance (strategy, model, seeds, prompts) or a key of its notes. `families` gives each
    sample its near-duplicate component. `locked` maps sample ids to the split they were exported in and must stay in (`test`); the rest
    of such a sample's unit follows it. Every split asked for gets at least one unit where there are enough; with fewer, the larger
    splits come first, and `test` before others of its size.

    Raises RecipeError when the ratios are no positive numbers, a locked split is not asked for or no sample has the field `by`.
    """
    wanted = _wanted(ratios)
    held = locked or {}
    for split in sorted({held[sample.id] for sample in samples if sample.id in held} - set(wanted)):
        raise RecipeError(f"the split '{split}' is locked and cannot be left out: give it a ratio above 0", key="split")
    if by not in (BY_FAMILY, BY_LINEAGE) and samples and not any(_groups(sample, by) for sample in samples):
        known = ", ".join((BY_FAMILY, BY_LINEAGE, *_FIELDS))
        raise RecipeError(f"no sample has the field '{by}': choose from {known} or a key of the samples' notes", key="by")
    units = _units(samples, by, None if by == BY_LINEAGE else families)
    quota = dict(zip(wanted, largest_remainder(len(samples), list(wanted.values())), strict=True))
    taken = _locked_units(units, samples, held)
    counts = Counter({split: sum(len(units[name]) for name in names) for split, names in taken.items()})
    free = {name: len(members) for name, members in units.items() if not any(name in names for names in taken.values())}
    for split, names in _fill(free, quota, counts, wanted, seed).items():
        taken[split] |= names
    of = {samples[at].id: split for split, names in taken.items() for name in names for at in units[name]}
    ordered = {sample.id: of[sample.id] for sample in samples}
    total = Counter(ordered.values())
    return Assignment(
        of=ordered,
        counts={split: total[split] for split in wanted},
        achieved={split: total[split] / max(1, len(ordered)) for split in wanted},
        units=len(units),
        empty=tuple(split for split in wanted if not total[split]),
    )


def assign_pairs(pairs: Iterable[Preference], samples: Iterable[Sample], splits: Mapping[str, str]) -> dict[str, str]:
    """The split of every pair: that of the sample it was made from, else of a parent, else of a sample with the same prompt; a pair whose
    prompt is in no split is training data."""
    by_prompt: dict[str, str] = {}
    for sample in samples:
        if sample.id in splits:
            by_prompt.setdefault(_prompt(sample), splits[sample.id])
    found: dict[str, str] = {}
    for pair in pairs:
        known = [splits[name] for name in (pair.sample, *pair.provenance.parents) if name in splits]
        prompt = _prompt(Sample(pair.id, pair.prompt))
        found[pair.id] = known[0] if known else by_prompt.get(prompt, "train")
    return found


def leaks(samples: Sequence[Sample], splits: Mapping[str, str], families: Sequence[int] | None = None) -> list[Leak]:
    """Everything that lies in more than one split and should not; empty for every result of `assign` by family."""
    groups: dict[tuple[str, str], list[str]] = defaultdict(list)
    for at, sample in enumerate(samples):
        groups["same_prompt", _prompt(sample)].append(sample.id)
        for parent in sample.provenance.parents:
            groups["lineage", parent].append(sample.id)
        if families is not None:
            groups["near_duplicate", str(families[at])].append(sample.id)
    found = []
    for (kind, name), members in groups.items():
        together = [name, *members] if kind == "lineage" and name in splits else members
        across = dict.fromkeys(splits[member] for member in together if member in splits)
        if len(across) > 1:
            found.append(Leak(kind, tuple(together), tuple(across)))
    return found


def _wanted(ratios: Mapping[str, float]) -> dict[str, float]:
    for split, ratio in ratios.items():
        if not isfinite(ratio) or ratio < 0:
            raise RecipeError(f"the ratio of '{split}' must be 0 or more, got {ratio}", key="split")
    total = sum(ratios.values())
    if total <= 0:
        raise RecipeError("a split needs at least one ratio above 0, such as {train: 0.9, test: 0.1}", key="split")
    return {split: ratio / total for split, ratio in ratios.items() if ratio > 0}


def _units(samples: Sequence[Sample], by: str, families: Sequence[int] | None) -> dict[str, list[int]]:
    """Places of samples by unit; a unit is named after the group of its first sample in plan order, so it keeps its name as it grows."""
    if families is not None and len(families) != len(samples):
        raise ValueError(f"{len(families)} families for {len(samples)} samples")
    root: dict[tuple[str, str], tuple[str, str]] = {}
    for at, sample in enumerate(samples):
        own = ("id", sample.id)
        joined = [("id", parent) for parent in sample.provenance.parents]
        joined.append(("prompt", _prompt(sample)))
        joined += [("group", value) for value in _groups(sample, by)]
        if families is not None:
            joined.append(("family", str(families[at])))
        for other in joined:
            _join(root, own, other)
    units: dict[tuple[str, str], list[int]] = defaultdict(list)
    for at, sample in enumerate(samples):
        units[_find(root, ("id", sample.id))].append(at)
    return {_unit_name(samples[members[0]], by): members for members in units.values()}


def _unit_name(first: Sample, by: str) -> str:
    groups = _groups(first, by)
    return f"{by}:{groups[0]}" if groups else f"id:{first.id}"


def _groups(sample: Sample, by: str) -> list[str]:
    """The values of the field that must stay together; a sample without one stands for itself."""
    if by in (BY_FAMILY, BY_LINEAGE):
        return []
    value = getattr(sample.provenance, by) if by in _FIELDS else thaw(sample.provenance.notes).get(by)
    values = value if isinstance(value, list | tuple) else [value]
    return [str(one) for one in values if one not in (None, "")]


def _find(root: dict[tuple[str, str], tuple[str, str]], node: tuple[str, str]) -> tuple[str, str]:
    top = root.setdefault(node, node)
    while root[top] != top:
        top = root[top]
    while root[node] != top:
        root[node], node = top, root[node]
    return top


def _join(root: dict[tuple[str, str], tuple[str, str]], one: tuple[str, str], other: tuple[str, str]) -> None:
    root[_find(root, other)] = _find(root, one)


def _prompt(sample: Sample) -> str:
    """A digest of what the user says, blind to case, white space and Unicode form; a sample without a user's turn stands for itself."""
    said = " ".join(message.content for message in sample.messages if message.role == "user")
    plain = " ".join(fold(said).casefold().split())
    return hashlib.sha256((plain or sample.id).encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _locked_units(units: Mapping[str, list[int]], samples: Sequence[Sample], held: Mapping[str, str]) -> defaultdict[str, set[str]]:
    taken: defaultdict[str, set[str]] = defaultdict(set)
    for name, members in units.items() if held else ():
        into = [held[samples[at].id] for at in members if samples[at].id in held]
        if into:
            taken[LOCKED_SPLIT if LOCKED_SPLIT in into else into[0]].add(name)
    return taken


def _fill(
    free: Mapping[str, int], quota: Mapping[str, int], counts: Mapping[str, int], wanted: Mapping[str, float], seed: int
) -> dict[str, set[str]]:
    """Units for each split: small splits choose first, each in the order of its own hash, and the largest split takes the rest."""
    ranking = sorted(wanted, key=lambda split: (-wanted[split], split != LOCKED_SPLIT))
    needy = [split for split in ranking if not counts.get(split)][: len(free)]  # too few units for all: the larger splits get theirs
    left = dict(free)
    chosen: dict[str, set[str]] = {}
    rest = ranking[0]
    small = sorted((one for one in ranking if one != rest), key=lambda one: (one != LOCKED_SPLIT, wanted[one], one))
    open_places = {split: max(0, quota[split] - counts.get(split, 0)) for split in small}
    for at, split in enumerate(small):
        if split not in needy and not counts.get(split):
            continue
        reserve = sum(1 for one in needy if one not in chosen and one != split)
        room = _fair_room(left, open_places[split], sum(open_places[one] for one in small[at:]))
        chosen[split] = _take(left, split, room, needs_one=split in needy, reserve=reserve, seed=seed)
        for name in chosen[split]:
            del left[name]
    chosen[rest] = set(left)
    return chosen


def _fair_room(left: Mapping[str, int], room: int, wanted: int) -> int:
    """The room of a split, cut where one huge unit leaves too few others for all small splits: each then gets its part of them."""
    supply = sum(size for size in left.values() if size <= 2 * room)
    return room if supply >= wanted else -(-supply * room // wanted)


def _take(left: Mapping[str, int], split: str, room: int, *, needs_one: bool, reserve: int, seed: int) -> set[str]:
    """Units in hash order while each brings the split nearer to its quota; at least the smallest one when it needs one."""
    order = sorted(left, key=lambda name: _rank(seed, split, name))
    taken: set[str] = set()
    for name in order:
        if len(left) - len(taken) <= reserve or room <= 0:
            break
        if left[name] <= 2 * room:
            taken.add(name)
            room -= left[name]
    if needs_one and not taken and len(left) > reserve:
        taken.add(min(order, key=lambda name: left[name]))
    return taken


def _rank(seed: int, split: str, name: str) -> str:
    return hashlib.sha256(f"{seed}\x00{split}\x00{name}".encode("utf-8", "surrogatepass")).hexdigest()
